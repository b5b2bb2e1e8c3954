"""Images as models see them and as files hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np


def to_pixels(images: torch.Tensor) -> np.ndarray:
    """uint8 [B, H, W, 3] from images [B, 3, H, W] in [0, 1]; what is not finite becomes 0."""
    finite = images.detach().nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)
    pixels: np.ndarray = (finite * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return pixels


def to_images(pixels: np.ndarray) -> torch.Tensor:
    """Images float32 [B, 3, H, W] in [0, 1] from uint8 [B, H, W, 3]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
