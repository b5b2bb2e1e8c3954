"""HyperNoise and Best-of-N together: the best of N images from modulated noise, by the reward; not in the paper."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch

from baselines.best_of_n import BestOfNSettings, best_of
from hypernoise.methods import AdapterSettings, HyperNoise, Outcome, Spent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernoise.methods import Batch


@dataclass(frozen=True)
class HyperNoiseBestOfNSettings(AdapterSettings, BestOfNSettings):
    """HyperNoise's adapter, and `n` candidates a sample."""


class HyperNoiseBestOfN(HyperNoise):
    """Best-of-N's candidates, modulated; candidate 0 is HyperNoise's, so the reward is never below its."""

    name: ClassVar[str] = "hypernoise-best-of-n"
    presets: ClassVar[Mapping[str, HyperNoiseBestOfNSettings]] = {"default": HyperNoiseBestOfNSettings()}
    budget: ClassVar[str | None] = "n"

    settings: HyperNoiseBestOfNSettings

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outcome:
        """Modulate, generate and score every candidate; NFE n · (steps + 1)."""
        n = self.settings.n
        images = best_of(batch, n, partial(self.modulated, batch))
        return Outcome(images, Spent(nfe=n * (batch.steps + 1), reward_forwards=n))
