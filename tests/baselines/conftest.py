"""What the tests of the methods share: batches, and the published implementation's runs."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import pytest
import torch

from hypernoise.methods import Batch, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tiny_stable_diffusion import Published

    from hypernoise.generators.shapes import ShapesGenerator
    from hypernoise.rewards.ensemble import Ensemble

PROMPTS = ["a photo of a ring", "a photo of a red circle and a blue star", "a photo of three moons"]


def batches(generator: ShapesGenerator, reward: Ensemble) -> Callable[..., Batch]:
    def make(samples: Sequence[Sample], steps: int = 1) -> Batch:
        prompts = [PROMPTS[sample.prompt_index] for sample in samples]
        condition, texts = generator.encode(prompts), reward.encode(prompts)
        return Batch(
            samples, condition, texts, generator, reward, steps, torch.device("cpu"), prompts=prompts
        )

    return make


@pytest.fixture(scope="session")
def batch_of(generator: ShapesGenerator, reward: Ensemble) -> Callable[..., Batch]:
    """Batches of the embedded world, prompts by the samples' prompt indices."""
    return batches(generator, reward)


@pytest.fixture(scope="session")
def precise_batch_of(generator: ShapesGenerator, reward: Ensemble) -> Callable[..., Batch]:
    """The same in double precision, where long trajectories do not magnify how a batch is rounded."""
    generator, reward = copy.deepcopy(generator), copy.deepcopy(reward)
    generator.text_encoder.double()
    generator.sampler.double()
    for member in reward.rewards.values():
        member.scorer.double()
    return batches(generator, reward)


@pytest.fixture(scope="session")
def published(golden: Path) -> Published:
    """The published ReNO's trials."""
    from tiny_stable_diffusion import Published  # noqa: PLC0415

    trials = json.loads((golden / "reno" / "reno.json").read_text())["trials"]
    return Published(golden / "reno", trials)
