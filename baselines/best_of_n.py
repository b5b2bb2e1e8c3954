"""Best-of-N: the best of N images from independent noise, by the reward (paper B.3, N = 50)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from hypernoise.methods import Method, Outcome, Spent, better

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hypernoise.methods import Batch


@dataclass(frozen=True)
class BestOfNSettings:
    """`n` candidates a sample."""

    n: int = 50

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError("n must be at least 1")


def best_of(batch: Batch, n: int, noise: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """Images [B, 3, H, W] of the highest reward among those of n candidates' noise; a tie keeps the earlier one.

    Candidate after candidate, all samples of the batch together.
    """
    images = batch.generate(noise(0))
    best = batch.reward.score(images, batch.texts)
    for candidate in range(1, n):
        others = batch.generate(noise(candidate))
        scores = batch.reward.score(others, batch.texts)
        improved = better(scores, best)
        images = torch.where(improved[:, None, None, None], others, images)
        best = torch.where(improved, scores, best)
    return images


class BestOfN(Method):
    """Candidate 0 is x0 itself, so the reward is never below base's."""

    name: ClassVar[str] = "best-of-n"
    presets: ClassVar[Mapping[str, BestOfNSettings]] = {"paper": BestOfNSettings()}
    budget: ClassVar[str | None] = "n"

    settings: BestOfNSettings

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outcome:
        """Generate and score every candidate."""
        n = self.settings.n
        return Outcome(best_of(batch, n, batch.noise), Spent(nfe=n * batch.steps, reward_forwards=n))
