"""Gradients of samples that do not depend on one another, each clipped for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def clip_each(gradient: torch.Tensor, max_norm: float) -> torch.Tensor:
    """Gradients [B, ...], each made at most `max_norm` long as torch.nn.utils.clip_grad_norm_ does."""
    scale = (max_norm / (gradient.flatten(1).norm(dim=1) + 1e-6)).clamp(max=1.0)
    return gradient * scale.view(-1, *([1] * (gradient.ndim - 1)))
