"""Gradients of the paper's generators in noise and in LoRA weights, against finite differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.hypernetwork import NoiseHypernetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[[str], Any]

STEERED = ["sana", "sd-turbo", "sdxl-turbo", "flux"]
PROMPTS = ["a photo of three cats", "a red dog, left of a bench"]
STEP = 1e-3
"""Smaller ones drown: schedulers and attention compute in float32."""


@pytest.fixture(params=STEERED)
def precise(request: pytest.FixtureRequest, fresh: Load) -> Any:
    """A generator of one's own in double precision."""
    single = fresh(request.param)
    return type(single)(single.pipeline.to(dtype=torch.float64), torch.device("cpu"))


def draw(*shape: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=random)


@torch.no_grad()
def at(value: Callable[[], torch.Tensor], leaves: list[torch.Tensor], steps: list[torch.Tensor]) -> float:
    """`value` where the leaves are moved by steps."""
    origins = [leaf.clone() for leaf in leaves]
    for leaf, step in zip(leaves, steps, strict=True):
        leaf.add_(step)
    moved = float(value())
    for leaf, origin in zip(leaves, origins, strict=True):
        leaf.copy_(origin)
    return moved


def check(value: Callable[[], torch.Tensor], leaves: list[torch.Tensor]) -> None:
    """The slope of `value` along its gradient in the leaves, and along chance, is what small steps measure."""
    gradients = torch.autograd.grad(value(), leaves)
    size = float(sum(gradient.square().sum() for gradient in gradients)) ** 0.5
    assert size > 0
    chance = [draw(*leaf.shape, seed=seed) for seed, leaf in enumerate(leaves)]
    for direction in ([gradient / size for gradient in gradients], chance):
        ahead, behind = (at(value, leaves, [sign * STEP * part for part in direction]) for sign in (1, -1))
        slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
        assert slope == pytest.approx((ahead - behind) / (2 * STEP), abs=0.03 * size)


@pytest.mark.parametrize("steps", [1, 2])
def test_in_the_noise(precise: Any, steps: int) -> None:
    x0, noise = (draw(1, *precise.latent_shape, seed=seed) for seed in (1, 2))
    condition = precise.encode(PROMPTS[:1])
    weights = draw(1, 3, precise.resolution, precise.resolution, seed=3)

    def value() -> torch.Tensor:
        return (weights * precise.generate(x0, condition, steps, lambda _: noise)).sum()

    check(value, [x0.requires_grad_()])


def test_in_lora_weights_through_modulated_noise(precise: Any) -> None:
    x0, condition = draw(2, *precise.latent_shape, seed=1), precise.encode(PROMPTS)
    weights = draw(2, 3, precise.resolution, precise.resolution, seed=3)
    with torch.no_grad():
        untouched = precise.generate(x0, condition)
    network = NoiseHypernetwork.new(precise, LoraSettings(rank=2, alpha=4), seed=0)
    assert not network(x0, condition).any()
    leaves = network.adapter.trainable()
    for seed, leaf in enumerate(leaves):
        leaf.data = draw(*leaf.shape, seed=100 + seed) * 0.05
    with torch.no_grad():
        assert torch.equal(precise.generate(x0, condition), untouched)
        assert network(x0, condition).std() > 1e-3

    def value() -> torch.Tensor:
        return (weights * precise.generate(x0 + network(x0, condition), condition)).sum()

    check(value, leaves)
    gradients = torch.autograd.grad(network(x0, condition).square().sum(), leaves, allow_unused=True)
    unreached = [
        name
        for name, gradient in zip(network.adapter.parameters, gradients, strict=True)
        if gradient is None or not gradient.any()
    ]
    assert unreached == []
