"""A run before it runs: what identifies it, and the pieces that it is done in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hypernoise.errors import HnError
from hypernoise.methods import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernoise.experiments.benchmark import Prompt

LAST_SEED = 99_999
"""Images are named by five digits, and noise keys of more than 32 bits could fall together."""


@dataclass(frozen=True)
class RunSettings:
    """What identifies a run. Two runs that differ in any of it are two runs.

    Of what it is computed with, it has `tiling`, which changes images, and `compiled`, which rounds all of them
    otherwise and takes another time; the other memory options at most round some, where there are gradients.
    """

    model: str
    method: str
    preset: str
    method_settings: Mapping[str, Any]
    benchmark: str
    suite: str
    prompts: int
    prompts_sha256: str
    first_seed: int
    seeds: int
    steps: int
    rewards: Mapping[str, float]
    batch: int
    device: str
    tiling: bool
    compiled: bool
    weights: Mapping[str, str]
    judges: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def run(self) -> str:
        """The run's name: what it is, in words, and a digest of all settings."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]
        return f"{self.model}-{self.method}-{self.benchmark}-{self.suite}-{digest}"


@dataclass(frozen=True)
class Piece:
    """Samples that are generated, judged and stored together; the smallest amount of work that can be lost."""

    number: int
    samples: tuple[Sample, ...]


def all_samples(prompts: Sequence[Prompt], settings: RunSettings) -> list[Sample]:
    """All samples of a run, prompt by prompt, each with all its seeds."""
    seeds = range(settings.first_seed, settings.first_seed + settings.seeds)
    return [Sample(prompt.index, seed) for prompt in prompts for seed in seeds]


def pieces(prompts: Sequence[Prompt], settings: RunSettings, *, whole_prompts: bool = False) -> list[Piece]:
    """All pieces of a run: its samples in their order, `batch` a piece.

    Where prompts must stay whole, a piece holds all samples of as many prompts as fit, and of one at least. A piece's
    samples never depend on what is stored already, so that a resumed run computes the same batches and therefore, on
    one machine, the same bits as an undisturbed one.
    """
    samples, seeds = all_samples(prompts, settings), settings.seeds
    size = seeds * max(1, settings.batch // seeds) if whole_prompts else settings.batch
    starts = range(0, len(samples), size)
    return [Piece(n, tuple(samples[start : start + size])) for n, start in enumerate(starts)]


def prompts_sha256(prompts: Sequence[Prompt]) -> str:
    """Identifies a set of prompts with what is demanded of their images."""
    rows = [[prompt.index, prompt.text, prompt.task, prompt.metadata] for prompt in prompts]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def seed_range(text: str) -> tuple[int, int]:
    """(First seed, number of seeds) from "4" (seeds 0 to 3) or "8-11" (seeds 8 to 11).

    Raises:
        HnError: if it is neither, or empty, or leaves 0 to `LAST_SEED`.
    """
    first, dash, last = text.partition("-")
    try:
        start, count = (int(first), int(last) - int(first) + 1) if dash else (0, int(first))
    except ValueError:
        start, count = 0, 0
    if start < 0 or count < 1 or start + count > LAST_SEED + 1:
        raise HnError(
            f"--seeds is {text!r} but must be a number of seeds such as 4, or a range such as 8-11; "
            f"the last seed there is is {LAST_SEED}."
        )
    return start, count
