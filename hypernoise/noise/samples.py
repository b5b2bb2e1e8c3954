"""Which prompt and which noise the n-th sample of a training has, whoever computes it and whenever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from hypernoise.experiments.noise import training_noise
from hypernoise.rewards.ensemble import take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.generators.protocol import Encoded, Generator
    from hypernoise.noise.settings import TrainSettings
    from hypernoise.rewards.ensemble import Ensemble, Texts


@dataclass(frozen=True)
class Samples:
    """Initial noise [B, *latent_shape], and what depends on the B prompts alone."""

    x0: torch.Tensor
    condition: Encoded
    texts: Texts


class Drawing:
    """Which prompt and which noise the n-th sample of a training has, whoever computes it."""

    def __init__(
        self, generator: Generator, reward: Ensemble, prompts: Sequence[str], settings: TrainSettings
    ) -> None:
        self.generator, self.reward, self.prompts, self.settings = generator, reward, prompts, settings

    def prompt_of(self, sample: int) -> int:
        """Every prompt once an epoch, in an order of its own each."""
        epoch, place = divmod(sample, len(self.prompts))
        order = np.random.default_rng((self.settings.seed, epoch)).permutation(len(self.prompts))
        return int(order[place])

    def _noise_number(self, sample: int) -> int:
        size = self.settings.batch
        return {"fresh": sample, "batch": sample // size, "one": 0, "multi": sample % size}[
            self.settings.noise
        ]

    def samples(self, first: int) -> Samples:
        """`batch` samples from number `first` on; a prompt that occurs twice is encoded once."""
        numbers = range(first, first + self.settings.batch)
        shape, seed = self.generator.latent_shape, self.settings.seed
        x0 = torch.stack([training_noise(shape, seed, self._noise_number(number)) for number in numbers])
        chosen = [self.prompt_of(number) for number in numbers]
        distinct = list(dict.fromkeys(chosen))
        texts, rows = [self.prompts[index] for index in distinct], [distinct.index(index) for index in chosen]
        return Samples(
            x0.to(self.generator.device),
            self.generator.encode(texts).take(rows),
            take(self.reward.encode(texts), rows),
        )

    def micro_batches(self, step: int, process: int, processes: int) -> list[Samples]:
        """What one process computes in one step."""
        per_step = self.settings.accumulation * processes
        first = (step * per_step + process * self.settings.accumulation) * self.settings.batch
        return [
            self.samples(first + number * self.settings.batch) for number in range(self.settings.accumulation)
        ]
