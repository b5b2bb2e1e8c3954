"""The paper's generators against diffusers' own pipelines on the same tiny weights, text and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import (
    DiffusionPipeline,
    FluxPipeline,
    LCMScheduler,
    UNet2DConditionModel,
)
from hub_files import snapshot
from safetensors.torch import load_file

from hypernoise.errors import HnError
from hypernoise.generators.flux_schnell import pack, unpack
from hypernoise.generators.pipelines import noise_sources
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.hypernetwork import NoiseHypernetwork
from hypernoise.registry import GENERATORS, find

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Load = Callable[[str], Any]

PROMPTS = ["a photo of three cats", "a red dog, left of a bench"]
STEERED = ["sana", "sd-turbo", "sdxl-turbo", "flux"]
REFERENCES = ["sd-v2.1", "sdxl", "dpo-sdxl", "hyper-sdxl", "flux-dev", "sd3-medium", "sd3.5-turbo"]
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"


def test_every_generator_of_the_hub_is_tested() -> None:
    assert {"shapes", "sana-1.6b", *STEERED, *REFERENCES} == set(GENERATORS)
    assert find("model", "sana-1.6b").__mro__[1] is find("model", "sana")


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def theirs(hub: Path, name: str) -> Any:
    """The pipeline as diffusers loads it, with the parts that a model's card tells to exchange."""
    kind = find("model", name)
    parts: dict[str, Any] = {}
    if name == "dpo-sdxl":
        repo = snapshot(hub, "mhdang/dpo-sdxl-text2image-v1")
        parts["unet"] = UNet2DConditionModel.from_pretrained(repo, subfolder="unet")
    if name == "hyper-sdxl":
        parts["unet"] = UNet2DConditionModel.from_pretrained(snapshot(hub, SDXL), subfolder="unet")
        parts["unet"].load_state_dict(load_file(snapshot(hub, "ByteDance/Hyper-SD") / kind.unet_file))
    if issubclass(kind.pipeline_class, find("model", "sdxl").pipeline_class):
        parts["add_watermarker"] = False
    pipeline = DiffusionPipeline.from_pretrained(snapshot(hub, kind.card.sources[0].repo), **parts)
    if name == "hyper-sdxl":
        pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.vae.enable_slicing()  # group norms of a batch of large images are rounded up to 5e-4 otherwise
    return pipeline


CALLS: dict[str, dict[str, Any]] = {
    "sana": {
        "guidance_scale": 4.5,
        "use_resolution_binning": False,
        "complex_human_instruction": None,
        "intermediate_timesteps": None,
    },
    "sd-turbo": {"guidance_scale": 0.0},
    "sdxl-turbo": {"guidance_scale": 0.0},
    "flux": {"guidance_scale": 0.0, "max_sequence_length": 256},
    "sd-v2.1": {"guidance_scale": 7.5},
    "sdxl": {"guidance_scale": 5.0},
    "dpo-sdxl": {"guidance_scale": 5.0},
    "hyper-sdxl": {"guidance_scale": 0.0, "timesteps": [800]},
    "flux-dev": {"guidance_scale": 3.5},
    "sd3-medium": {"guidance_scale": 7.0},
    "sd3.5-turbo": {"guidance_scale": 0.0},
}
"""What a user of diffusers types for each."""


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        (name, steps)
        for name in (*STEERED, *REFERENCES)
        for steps in ((1,) if name == "hyper-sdxl" else (1, 3))
    ],
)
def test_images_are_those_of_diffusers(name: str, steps: int, hub: Path, loaded: Load) -> None:
    generator, pipeline = loaded(name), theirs(hub, name)
    x0 = draw(2, *generator.latent_shape, seed=1)
    noises = [draw(*x0.shape, seed=10 + step) for step in range(steps)]
    if name == "sana":  # it is handed the noise itself
        random: Any = torch.Generator().manual_seed(5)
        again = torch.Generator().manual_seed(5)
        noises = [torch.randn(x0.shape, generator=again) for _ in range(steps)]
    else:
        random = noise_sources(x0, lambda step: noises[step - 1])
    expected = pipeline(
        PROMPTS,
        latents=pack(x0) if isinstance(pipeline, FluxPipeline) else x0,
        height=generator.resolution,
        width=generator.resolution,
        generator=random,
        output_type="pt",
        **{"num_inference_steps": steps} | CALLS[name],
    ).images
    condition = generator.encode(PROMPTS)
    with torch.no_grad():
        images = generator.generate(x0, condition, steps, lambda step: noises[step - 1])
        swapped = generator.generate(x0, condition.take([1, 0]), steps, lambda step: noises[step - 1])
    assert images.shape == (2, 3, generator.resolution, generator.resolution)
    assert images.std() > 0.03
    torch.testing.assert_close(images, expected, atol=2e-5, rtol=0)
    assert (swapped - images).abs().max() > 1e-4


@pytest.mark.parametrize("name", [*STEERED, "sd-v2.1", "hyper-sdxl", "sd3-medium"])
def test_half_precision_makes_nearly_the_same_image(
    name: str, fresh: Load, loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: weights in bfloat16, noise, images and gradients in float32."""
    monkeypatch.setattr("hypernoise.generators.pipelines.precision", lambda _: torch.bfloat16)
    half, generator = fresh(name), loaded(name)
    assert {p.dtype for p in half.denoiser.parameters()} == {half.dtype} == {torch.bfloat16}
    x0 = draw(1, *generator.latent_shape, seed=1)
    with torch.no_grad():
        expected = generator.generate(x0, generator.encode(PROMPTS[:1]))
    x0.requires_grad_(not half.base_only)
    images = half.generate(x0, half.encode(PROMPTS[:1]))
    assert images.dtype == torch.float32
    assert (images - expected).abs().mean() < 0.05 * expected.std()
    if not half.base_only:
        (gradient,) = torch.autograd.grad(images.square().sum(), x0)
        assert gradient.dtype == torch.float32
        assert gradient.isfinite().all()
        assert gradient.any()
        network = NoiseHypernetwork.new(half, LoraSettings(rank=2, alpha=4), seed=0)
        network.adapter.trainable()
        weight = network.adapter.parameters[f"{half.last_layer}.lora_B.weight"]
        (last,) = torch.autograd.grad(network(x0, half.encode(PROMPTS[:1])).sum(), weight)
        assert last.any()


@pytest.mark.parametrize("name", [*STEERED, *REFERENCES])
def test_an_image_is_the_same_whatever_the_batch(name: str, loaded: Load) -> None:
    generator = loaded(name)
    steps = 1 if name == "hyper-sdxl" else 2
    x0, noise = draw(2, *generator.latent_shape, seed=1), draw(2, *generator.latent_shape, seed=2)
    condition = generator.encode(PROMPTS)
    with torch.no_grad():
        together = generator.generate(x0, condition, steps, lambda _: noise)
        alone = generator.generate(x0[1:], condition.take([1]), steps, lambda _: noise[1:])
    torch.testing.assert_close(alone[0], together[1], atol=2e-5, rtol=0)


def test_a_sampler_s_noise_is_the_sample_s(loaded: Load) -> None:
    generator = loaded("sdxl-turbo")
    x0, noise = draw(1, *generator.latent_shape).repeat(3, 1, 1, 1), draw(2, *generator.latent_shape, seed=2)
    condition = generator.encode(PROMPTS[:1]).take([0, 0, 0])
    before = torch.random.get_rng_state()
    with torch.no_grad():
        images = generator.generate(x0, condition, 2, lambda _: noise[[0, 0, 1]])
        generator.generate(x0, condition)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.testing.assert_close(images[0], images[1], atol=2e-5, rtol=0)
    assert (images[2] - images[0]).abs().max() > 1e-2


def test_packing_is_that_of_diffusers() -> None:
    latents = draw(2, 4, 6, 6)
    tokens = pack(latents)
    assert torch.equal(tokens, FluxPipeline._pack_latents(latents, 2, 4, 6, 6))
    assert torch.equal(unpack(tokens, 6), latents)


@pytest.mark.parametrize("name", STEERED)
def test_a_noise_hypernetwork_s_call_is_the_denoiser_s_at_its_noisiest(name: str, loaded: Load) -> None:
    """The arguments that the denoiser is given are, but for the scale of SD's noise, those of the first step."""
    generator = loaded(name)
    x0, condition = draw(2, *generator.latent_shape), generator.encode(PROMPTS)
    calls: list[tuple[Any, Any]] = []
    hook = generator.denoiser.register_forward_pre_hook(
        lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True
    )
    try:
        with torch.no_grad():
            delta = generator.predict(x0, condition)
            generator.generate(x0, condition)
    finally:
        hook.remove()
    assert delta.shape == x0.shape
    (args, kwargs), (first_args, first_kwargs) = calls
    scale = 5e-3 * float(x0.abs().max()) if name in ("sd-turbo", "sdxl-turbo") else 1e-4
    for given, first in zip(args, first_args, strict=True):
        torch.testing.assert_close(torch.as_tensor(given).float(), first, atol=scale, rtol=0)
    for key, given in kwargs.items():
        if isinstance(given, torch.Tensor):
            torch.testing.assert_close(given, first_kwargs[key], atol=1e-5, rtol=0)
        elif isinstance(given, dict):
            for part, tensor in given.items():
                assert torch.equal(tensor, first_kwargs[key][part])
        else:
            assert given == first_kwargs[key] or given == {}


def test_the_one_step_model_refuses_several(loaded: Load) -> None:
    generator = loaded("hyper-sdxl")
    with pytest.raises(HnError, match="makes images in one step: leave out --steps"):
        generator.generate(draw(1, *generator.latent_shape), generator.encode(PROMPTS[:1]), steps=4)


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_models_are_not_steered(name: str, loaded: Load) -> None:
    generator = loaded(name)
    x0, condition = draw(1, *generator.latent_shape), generator.encode(PROMPTS[:1])
    assert generator.base_only
    with pytest.raises(HnError, match=f"^{name} runs as it is"):
        generator.predict(x0, condition)
    assert not generator.generate(x0.requires_grad_(), condition).requires_grad
