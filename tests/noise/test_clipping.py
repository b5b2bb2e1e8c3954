"""Clipping each sample's gradient: torch's own clipping, and what a training makes of it."""

from __future__ import annotations

import torch

from hypernoise.noise.clipping import clip_each


def test_clipping_is_torchs_for_each_sample() -> None:
    gradient = torch.randn(4, 2, 3, 3) * torch.tensor([0.001, 0.1, 1, 30]).view(4, 1, 1, 1)
    clipped = clip_each(gradient, 0.5)
    for ours, original in zip(clipped, gradient, strict=True):
        leaf = torch.zeros_like(original, requires_grad=True)
        leaf.grad = original.clone()
        torch.nn.utils.clip_grad_norm_([leaf], 0.5)
        torch.testing.assert_close(ours, leaf.grad)
