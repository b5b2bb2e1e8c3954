"""The embedded world's counterparts of LPIPS and DINOv2: what its dual encoder `shapes-clip` sees in an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from hypernoise.pixels import to_images
from hypernoise.rewards.shapes import ShapesClip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypernoise.shapes.scorers import DualScorer


class ShapesFeatures:
    """Features of the dual encoder, of images uint8 [32, 32, 3]."""

    def __init__(self, device: torch.device) -> None:
        self.reward = ShapesClip.load(device)
        self.scorer: DualScorer = self.reward.scorer  # type: ignore[assignment]

    @torch.no_grad()
    def perceptual(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Vectors [B, D] of the trunk's 64 places, each 1/8 long: squared distances are means over places."""
        pixels = to_images(np.stack(images)).to(self.reward.device)
        places = self.scorer.trunk.look(pixels)
        return (F.normalize(places, dim=2) / places.shape[1] ** 0.5).flatten(1)

    @torch.no_grad()
    def semantic(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """The image's vector [B, D] that is compared with captions."""
        pixels = to_images(np.stack(images)).to(self.reward.device)
        return self.scorer.see(self.scorer.trunk(pixels))
