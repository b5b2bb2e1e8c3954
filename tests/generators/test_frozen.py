"""Frozen convolutions: the same outputs and gradients, fewer bytes kept for the backward pass."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch
from kept import kept_bytes
from torch import nn

from hypernoise.generators.frozen import FrozenConv2d, spare_inputs

if TYPE_CHECKING:
    from hypernoise.generators.shapes import ShapesGenerator

LAYERS = [
    nn.Conv2d(4, 6, 3, padding=1),
    nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False),
    nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
    nn.Conv2d(4, 6, 1),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_outputs_and_gradients_are_those_of_a_plain_convolution(layer: nn.Conv2d) -> None:
    layer = layer.requires_grad_(requires_grad=False)
    frozen = copy.deepcopy(layer)
    spare_inputs(frozen)
    assert type(frozen) is FrozenConv2d
    x = torch.randn(2, 4, 9, 9, requires_grad=True)
    plain, spared = layer(x), frozen(x)
    assert torch.equal(plain, spared)
    cotangent = torch.randn_like(plain)
    torch.testing.assert_close(
        torch.autograd.grad(spared, x, cotangent), torch.autograd.grad(plain, x, cotangent)
    )
    assert kept_bytes(frozen, x, frozen) == 0


def test_a_mixed_precision_backward_gives_the_input_s_dtype() -> None:
    layer = nn.Conv2d(4, 6, 3).requires_grad_(requires_grad=False)
    spare_inputs(layer)
    x = torch.randn(2, 4, 9, 9, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x)
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


def test_the_decoder_keeps_less(generator: ShapesGenerator) -> None:
    spared = generator.sampler.autoencoder.decoder
    plain = copy.deepcopy(spared)
    for layer in plain.modules():
        if type(layer) is FrozenConv2d:
            layer.__class__ = nn.Conv2d
    z = torch.randn(2, *generator.latent_shape, requires_grad=True)
    assert torch.equal(plain(z), spared(z))
    assert kept_bytes(spared, z, spared) < 0.8 * kept_bytes(plain, z, plain)
