"""Our sampler against diffusers' own pipeline, and its parts against closed forms."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import pytest
import torch
from diffusers import SanaSprintPipeline, SCMScheduler
from diffusers.utils.torch_utils import randn_tensor

from hypernoise.generators import scm
from hypernoise.generators.protocol import Encoded

if TYPE_CHECKING:
    from hypernoise.generators.shapes import ShapesGenerator

PROMPTS = ["a photo of a red circle left of a blue star", "a photo of three moons", "a photo of a ring"]


@pytest.fixture(scope="module")
def pipeline(generator: ShapesGenerator) -> SanaSprintPipeline:
    pipeline = SanaSprintPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=generator.sampler.autoencoder,
        transformer=generator.sampler.transformer,
        scheduler=SCMScheduler(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_images_are_those_of_diffusers_pipeline(
    generator: ShapesGenerator, pipeline: SanaSprintPipeline, steps: int
) -> None:
    condition = generator.encode(PROMPTS)
    x0 = torch.randn(len(PROMPTS), *generator.latent_shape, generator=torch.Generator().manual_seed(1))
    theirs = pipeline(
        latents=x0,
        prompt_embeds=condition.tensors["embeddings"],
        prompt_attention_mask=condition.tensors["mask"],
        num_inference_steps=steps,
        intermediate_timesteps=1.3 if steps == 2 else None,
        generator=torch.Generator().manual_seed(2),
        height=32,
        width=32,
        use_resolution_binning=False,
        output_type="pt",
    ).images
    draws = torch.Generator().manual_seed(2)
    renoising = [randn_tensor(x0.shape, generator=draws) for _ in range(steps)]
    asked: list[int] = []

    def step_noise(step: int) -> torch.Tensor:
        asked.append(step)
        return renoising[step - 1]

    with torch.no_grad():
        ours = generator.generate(x0, condition, steps, step_noise)
    assert asked == list(range(1, steps))
    assert ours.std() > 0.005
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8])
def test_timesteps_are_the_schedulers(steps: int) -> None:
    scheduler = SCMScheduler()
    scheduler.set_timesteps(steps, intermediate_timesteps=1.3 if steps == 2 else None)
    assert scm.timesteps(steps) == pytest.approx(scheduler.timesteps[:-1].tolist(), rel=1e-6)


@pytest.mark.parametrize("steps", [0, -1])
def test_no_steps_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="at least one step"):
        scm.timesteps(steps)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.7, math.pi / 4, 1.3, scm.MAX_TIMESTEP])
def test_velocity_of_a_known_point_is_trigflows(angle: float) -> None:
    """The flow model's x_s = (1 - s) z + s eps with v = eps - z is TrigFlow's cos z + sin eps with cos eps - sin z."""
    z, eps = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    s = scm.flow_time(angle)
    velocity = scm.trigflow_velocity((1 - s) * z + s * eps, eps - z, s)
    torch.testing.assert_close(velocity, math.cos(angle) * eps - math.sin(angle) * z, atol=1e-12, rtol=1e-12)


def test_flow_time_runs_from_data_to_noise() -> None:
    assert scm.flow_time(0) == 0
    assert scm.flow_time(math.pi / 4) == pytest.approx(0.5)
    assert scm.flow_time(math.pi / 2) == pytest.approx(1)


def test_several_steps_need_noise(generator: ShapesGenerator) -> None:
    x0 = torch.zeros(1, *generator.latent_shape)
    with pytest.raises(ValueError, match="step_noise"):
        generator.generate(x0, generator.encode(PROMPTS[:1]), steps=2)


def test_the_denoiser_is_called_once_a_step(generator: ShapesGenerator) -> None:
    calls = []
    hook = generator.sampler.transformer.register_forward_hook(lambda *_: calls.append(1))
    x0 = torch.randn(2, *generator.latent_shape)
    condition = generator.encode(PROMPTS[:2])
    try:
        for steps in (1, 3):
            calls.clear()
            with torch.no_grad():
                generator.generate(x0, condition, steps, lambda _: torch.zeros_like(x0))
            assert len(calls) == steps
    finally:
        hook.remove()


@pytest.mark.parametrize("steps", [1, 2])
def test_gradients_in_the_noise_are_those_of_finite_differences(
    generator: ShapesGenerator, steps: int
) -> None:
    sampler = copy.deepcopy(generator.sampler).double()
    encoded = generator.encode(PROMPTS[:2])
    condition = Encoded(
        {"embeddings": encoded.tensors["embeddings"].double(), "mask": encoded.tensors["mask"]}
    )
    random = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=random)

    x0, between, weights = draw(2, 8, 8, 8), draw(2, 8, 8, 8), draw(2, 3, 32, 32)

    def value(noise: torch.Tensor) -> torch.Tensor:
        return (weights * sampler(noise, condition, steps, lambda _: between)).sum()

    leaf = x0.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(leaf), leaf)
    size = float(gradient.norm())
    assert size > 0
    with torch.no_grad():
        for direction in (gradient / size, draw(*x0.shape), draw(*x0.shape)):
            step = 1e-4 * direction  # smaller ones drown: the transformer's attention computes in float32
            numeric = float(value(x0 + step) - value(x0 - step)) / 2e-4
            assert float((gradient * direction).sum()) == pytest.approx(numeric, abs=0.03 * size)


def test_each_image_depends_on_its_own_noise_alone(generator: ShapesGenerator) -> None:
    x0 = torch.randn(3, *generator.latent_shape).requires_grad_()
    images = generator.generate(x0, generator.encode(PROMPTS))
    (gradient,) = torch.autograd.grad(images[1].sum(), x0)
    assert gradient[1].abs().max() > 0
    assert not gradient[[0, 2]].any()
