"""What every reward offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from hypernoise.sources import hashes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from hypernoise.generators.protocol import Encoded
    from hypernoise.hub import HubFiles


class Reward(Protocol):
    """A differentiable score r(image, prompt), higher is better."""

    name: ClassVar[str]
    sources: ClassVar[tuple[HubFiles, ...]] = ()
    """What it downloads; empty where nothing is needed."""

    @classmethod
    def load(cls, device: torch.device) -> Reward:
        """Load the weights, frozen and in evaluation mode."""
        ...

    @classmethod
    def weights(cls) -> dict[str, str]:
        """sha256 of every weight file by its name; those of its sources, unless told."""
        return hashes(cls.sources)

    def encode(self, prompts: Sequence[str]) -> Encoded:
        """What depends on the prompts alone."""
        ...

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Scores [B] of images [B, 3, H, W] in [0, 1], differentiable in the images."""
        ...
