"""Frozen convolutions that keep no input for the backward pass, in the manner of memsave_torch (paper, appendix B.1).

Today's torch keeps nothing for a frozen linear layer, but a convolution's input even where its weights get no gradient.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.grad import conv2d_input


class _FrozenConvolution(torch.autograd.Function):
    """F.conv2d that is differentiable in its input alone."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, *how: Any) -> Any:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.dtype, ctx.how = x.shape, x.dtype, how
        return F.conv2d(x, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (weight,) = ctx.saved_tensors
        (gradient,) = gradients
        return conv2d_input(ctx.shape, weight.to(gradient.dtype), gradient, *ctx.how).to(ctx.dtype), *[
            None
        ] * 6


class FrozenConv2d(nn.Conv2d):
    """A convolution whose weights never get a gradient."""

    def _conv_forward(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        output: torch.Tensor = _FrozenConvolution.apply(
            x, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )
        return output


def spare_inputs(module: nn.Module) -> None:
    """Make a frozen module's convolutions with zeros around `FrozenConv2d`s, in place; outputs keep every bit."""
    for layer in module.modules():
        if type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and isinstance(layer.padding, tuple):
            layer.__class__ = FrozenConv2d
