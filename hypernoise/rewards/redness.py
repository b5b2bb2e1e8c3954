"""The paper's illustrative reward: how red an image is (section 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from hypernoise.generators.protocol import Encoded
from hypernoise.rewards.protocol import Reward

if TYPE_CHECKING:
    from collections.abc import Sequence


class Redness(Reward):
    """Mean over the pixels of R - (G + B) / 2, between -1 and 1; the prompt plays no part."""

    name: ClassVar[str] = "redness"

    @classmethod
    def load(cls, device: torch.device) -> Redness:
        """Nothing to load."""
        del device
        return cls()

    def encode(self, prompts: Sequence[str]) -> Encoded:
        """An empty row a prompt."""
        return Encoded({"empty": torch.empty(len(prompts), 0)})

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Scores [B]; section 4.1's formula, without the appendix's factor 1/100."""
        del text
        red, green, blue = images.unbind(1)
        return (red - (green + blue) / 2).mean((1, 2))
