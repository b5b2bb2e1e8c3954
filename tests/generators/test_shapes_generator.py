"""The embedded world's generator: what it promises to every method."""

from __future__ import annotations

import copy
import socket
from typing import TYPE_CHECKING, NoReturn

import pytest
import torch
from peft import LoraConfig

from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.shapes.networks import TextEncoder

if TYPE_CHECKING:
    from diffusers import SanaTransformer2DModel

PROMPTS = [
    "a photo of a ring",
    "a photo of a red circle and a blue star",
    "a photo of four moons",
    "a photo of an orange square left of a heart",
]


@pytest.fixture
def x0(generator: ShapesGenerator) -> torch.Tensor:
    return torch.randn(len(PROMPTS), *generator.latent_shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_images_are_pictures(generator: ShapesGenerator, x0: torch.Tensor) -> None:
    images = generator.generate(x0, generator.encode(PROMPTS))
    assert images.shape == (len(PROMPTS), 3, 32, 32)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert len({image.numpy().tobytes() for image in images}) == len(PROMPTS)


@torch.no_grad()
def test_an_image_is_the_same_whatever_the_batch(generator: ShapesGenerator, x0: torch.Tensor) -> None:
    condition = generator.encode(PROMPTS)
    together = generator.generate(x0, condition)
    order = [2, 0, 3, 1]
    shuffled = generator.generate(x0[order], condition.take(order))
    torch.testing.assert_close(shuffled, together[order], atol=1e-5, rtol=0)
    for i in range(len(PROMPTS)):
        alone = generator.generate(x0[i : i + 1], condition.take([i]))
        torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=0)


@torch.no_grad()
def test_noise_and_prompt_both_matter(generator: ShapesGenerator, x0: torch.Tensor) -> None:
    condition = generator.encode(PROMPTS)
    same_prompt = generator.generate(x0, condition.take([0] * len(PROMPTS)))
    same_noise = generator.generate(x0[:1].expand_as(x0), condition)
    for images in (same_prompt, same_noise):
        assert (images[1:] - images[:1]).abs().amax((1, 2, 3)).min() > 1e-4


def test_prompts_are_encoded_independently(generator: ShapesGenerator) -> None:
    together = generator.encode(PROMPTS)
    for i, prompt in enumerate(PROMPTS):
        alone = generator.encode([prompt])
        assert torch.equal(alone.tensors["mask"][0], together.tensors["mask"][i])
        words = alone.tensors["mask"][0]
        torch.testing.assert_close(
            alone.tensors["embeddings"][0][words],
            together.tensors["embeddings"][i][words],
            atol=1e-5,
            rtol=1e-4,
        )


@torch.no_grad()
def test_padding_does_not_reach_the_image(generator: ShapesGenerator, x0: torch.Tensor) -> None:
    condition = generator.encode(PROMPTS)
    expected = generator.generate(x0, condition)
    disturbed = copy.deepcopy(condition)
    disturbed.tensors["embeddings"][~disturbed.tensors["mask"]] = 100.0
    torch.testing.assert_close(generator.generate(x0, disturbed), expected, atol=1e-5, rtol=0)


def test_an_empty_caption_can_be_read() -> None:
    embeddings, mask = TextEncoder()(torch.zeros(1, 16, dtype=torch.long))
    assert mask[0].tolist() == [True] + [False] * 15
    assert embeddings[:, :1].isfinite().all()


def test_take_repeats_rows(generator: ShapesGenerator) -> None:
    condition = generator.encode(PROMPTS)
    taken = condition.take([1, 1, 0])
    for name, tensor in condition.tensors.items():
        assert torch.equal(taken.tensors[name], tensor[[1, 1, 0]])


def test_weights_are_frozen_and_counted(generator: ShapesGenerator) -> None:
    modules = [generator.text_encoder, generator.sampler]
    assert not any(p.requires_grad for module in modules for p in module.parameters())
    assert not any(module.training for module in modules)
    assert generator.parameters == generator.sampler.transformer.num_parameters()


def test_loading_needs_no_network(monkeypatch: pytest.MonkeyPatch, x0: torch.Tensor) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    loaded = ShapesGenerator.load(torch.device("cpu"))
    with torch.no_grad():
        assert loaded.generate(x0, loaded.encode(PROMPTS)).isfinite().all()


@pytest.fixture
def adapted(generator: ShapesGenerator) -> ShapesGenerator:
    """A copy whose transformer has LoRA on every linear layer, trainable."""
    sampler = copy.deepcopy(generator.sampler)
    transformer: SanaTransformer2DModel = sampler.transformer
    linear = [name for name, module in transformer.named_modules() if isinstance(module, torch.nn.Linear)]
    assert "proj_out" in linear
    copied = ShapesGenerator(copy.deepcopy(generator.text_encoder), sampler, generator.device)
    torch.manual_seed(0)
    transformer.add_adapter(
        LoraConfig(r=4, lora_alpha=8, init_lora_weights="gaussian", target_modules=linear)
    )
    return copied


def test_lora_changes_nothing_at_first(
    generator: ShapesGenerator, adapted: ShapesGenerator, x0: torch.Tensor
) -> None:
    condition = generator.encode(PROMPTS)
    with torch.no_grad():
        assert torch.equal(adapted.generate(x0, condition), generator.generate(x0, condition))


def test_gradients_reach_lora_and_nothing_else(adapted: ShapesGenerator, x0: torch.Tensor) -> None:
    images = adapted.generate(x0, adapted.encode(PROMPTS))
    (images * torch.randn_like(images)).sum().backward()
    reached = {
        name: float(p.grad.abs().max())
        for name, p in adapted.sampler.transformer.named_parameters()
        if p.grad is not None
    }
    assert reached
    assert all("lora_" in name for name in reached)
    up = {name: size for name, size in reached.items() if "lora_B" in name}
    assert sum(size > 0 for size in up.values()) > 0.9 * len(up)  # guidance and text feed some layers little
    assert up["proj_out.lora_B.default.weight"] > 0


def test_a_trained_adapter_changes_the_image_and_can_be_switched_off(
    generator: ShapesGenerator, adapted: ShapesGenerator, x0: torch.Tensor
) -> None:
    condition = generator.encode(PROMPTS)
    transformer = adapted.sampler.transformer
    with torch.no_grad():
        expected = generator.generate(x0, condition)
        for name, parameter in transformer.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
        assert not torch.allclose(adapted.generate(x0, condition), expected, atol=1e-3)
        transformer.disable_adapters()
        torch.testing.assert_close(adapted.generate(x0, condition), expected, atol=1e-6, rtol=0)
