"""The weighted sum of rewards that methods optimize."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernoise.errors import HnError
from hypernoise.registry import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from hypernoise.generators.protocol import Encoded
    from hypernoise.rewards.protocol import Reward

Texts = dict[str, "Encoded"]
"""Each reward's own encoding of the same prompts."""


def take(texts: Texts, indices: Sequence[int]) -> Texts:
    """The rows of the prompts at `indices`."""
    return {name: text.take(indices) for name, text in texts.items()}


class Ensemble:
    """Named rewards with explicit weights."""

    def __init__(self, members: Sequence[tuple[Reward, float]]) -> None:
        self.rewards = {reward.name: reward for reward, _ in members}
        self.weights = {reward.name: weight for reward, weight in members}
        if not self.rewards or len(self.rewards) != len(members):
            raise ValueError("an ensemble needs at least one reward, and each only once")

    @classmethod
    def load(cls, weights: Mapping[str, float], device: torch.device) -> Ensemble:
        """Load the named rewards.

        Raises:
            HnError: if there are none or one is unknown.
        """
        if not weights:
            raise HnError("No reward is given: name at least one as NAME=WEIGHT.")
        return cls([(find("reward", name).load(device), weight) for name, weight in weights.items()])

    def encode(self, prompts: Sequence[str]) -> Texts:
        """Everything about the prompts that the rewards need, once."""
        return {name: reward.encode(prompts) for name, reward in self.rewards.items()}

    def parts(self, images: torch.Tensor, texts: Texts) -> dict[str, torch.Tensor]:
        """Each reward's scores [B], unweighted, of images [B, 3, H, W] in [0, 1]."""
        return {name: reward.score(images, texts[name]) for name, reward in self.rewards.items()}

    def score(self, images: torch.Tensor, texts: Texts) -> torch.Tensor:
        """The weighted sum [B], differentiable in the images."""
        return self.weighted(self.parts(images, texts))

    def weighted(self, parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The weighted sum [B] of what `parts` returns."""
        scores = [self.weights[name] * part for name, part in parts.items()]
        return sum(scores[1:], start=scores[0])
