"""OpenCV's bilinear scaling of images of 8 bits, through which the published script's detector sees them.

It has no antialiasing, and computes in fixed point: about one value in eight comes out a level below what exact
interpolation rounds to.
"""

from __future__ import annotations

import torch

ONE = 1 << 11
"""A weight of 1 in fixed point."""


def resized(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images uint8 [B, H, W, C] at another height and width, to the bit those of `cv2.resize`."""
    height, width = images.shape[1:3]
    left, right, part = _neighbours(width, size[1], images.device)
    first, last = _fixed(torch.where((left < 0) | (right == width), 0, part))
    values = images.int()
    values = values[:, :, left.clamp(min=0)] * first + values[:, :, right.clamp(max=width - 1)] * last
    upper, lower, part = _neighbours(height, size[0], images.device)
    first, last = (each[:, None] for each in _fixed(part))
    above, below = values[:, upper.clamp(min=0)] >> 4, values[:, lower.clamp(max=height - 1)] >> 4
    values = (above * first >> 16) + (
        below * last >> 16
    )  # 20 of the weights' 22 bits; the other two are rounded
    return (values + 2 >> 2).clamp(0, 255).to(torch.uint8)


def _neighbours(old: int, new: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The places [new] before and after each new one on an old axis, and how far it is between them, 0 to 1."""
    places = (torch.arange(new, dtype=torch.float64, device=device) + 0.5) * (old / new) - 0.5
    before = places.float().floor()
    return before.long(), before.long() + 1, places.float() - before


def _fixed(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights [new, 1] of both neighbours."""
    first, last = ((each * ONE).round().int().view(-1, 1) for each in (1 - part, part))
    return first, last
