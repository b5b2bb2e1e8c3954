"""The images that two detectors look at; imported in the published package's environment too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    import numpy as np

SIZES = ((512, 512), (1024, 1024), (300, 421))
"""Enlarged, reduced, and neither square nor without padding."""


def pictures() -> list[np.ndarray]:
    """Images uint8 [H, W, 3], coarse and fine structure in each."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for size in SIZES:
        layers = [
            F.interpolate(torch.rand(1, 3, side, side, generator=generator), size=size, mode="bicubic")
            for side in (7, 31, 157)
        ]
        image = torch.cat(layers).mean(0).clamp(0, 1)
        found.append((image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
    return found
