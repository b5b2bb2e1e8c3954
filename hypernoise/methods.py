"""What a method is: a way to get an image from (generator, prompt, x0). And the simplest one, `base`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch

from hypernoise.experiments.noise import candidate_noise, step_noise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernoise.generators.protocol import Encoded, Generator
    from hypernoise.rewards.ensemble import Ensemble, Texts


@dataclass(frozen=True)
class Sample:
    """One image to make: a prompt by its index in the benchmark, and a seed."""

    prompt_index: int
    seed: int


@dataclass(frozen=True)
class Batch:
    """Samples that are worked on together, with all that depends on their prompts alone already computed."""

    samples: Sequence[Sample]
    condition: Encoded
    texts: Texts
    generator: Generator
    reward: Ensemble
    steps: int
    device: torch.device

    def noise(self, candidate: int = 0) -> torch.Tensor:
        """Initial noise [B, *latent_shape] of every sample's n-th candidate; candidate 0 is x0."""
        shape = self.generator.latent_shape
        rows = [candidate_noise(shape, s.seed, s.prompt_index, candidate) for s in self.samples]
        return torch.stack(rows).to(self.device)

    def generate(self, noise: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1]; the sampler's own noise is the same however often it is called."""

        def steps_noise(step: int) -> torch.Tensor:
            rows = [step_noise(noise.shape[1:], s.seed, s.prompt_index, step) for s in self.samples]
            return torch.stack(rows).to(noise)

        return self.generator.generate(noise, self.condition, self.steps, steps_noise)


@dataclass(frozen=True)
class Spent:
    """What one sample cost: calls of the denoiser (NFE), evaluations and gradients of the reward ensemble."""

    nfe: int
    reward_forwards: int = 0
    reward_backwards: int = 0


@dataclass(frozen=True)
class Outcome:
    """Images [B, 3, H, W] in [0, 1], and what each of them cost."""

    images: torch.Tensor
    spent: Spent


class Method(Protocol):
    """A way to get an image from (generator, prompt, x0)."""

    name: ClassVar[str]
    presets: ClassVar[Mapping[str, Any]]
    """Settings by name; the first is the default and follows the paper."""
    budget: ClassVar[str | None]
    """The setting that says how many images a sample may try, where there is one."""

    def __init__(self, settings: Any) -> None: ...

    def __call__(self, batch: Batch) -> Outcome:
        """Make one image for each sample of the batch."""
        ...


def better(scores: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
    """Which of B samples improve on the best reward so far; any number improves on one that is not a number."""
    return (scores > best) | (best.isnan() & ~scores.isnan())


@dataclass(frozen=True)
class BaseSettings:
    """The base method has nothing to set."""


class Base:
    """The generator as it is: x0 to image."""

    name: ClassVar[str] = "base"
    presets: ClassVar[Mapping[str, BaseSettings]] = {"paper": BaseSettings()}
    budget: ClassVar[str | None] = None

    def __init__(self, settings: BaseSettings) -> None:
        self.settings = settings

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outcome:
        """Generate from x0."""
        return Outcome(batch.generate(batch.noise()), Spent(nfe=batch.steps))
