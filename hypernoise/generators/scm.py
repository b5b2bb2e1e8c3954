"""Sampling of SANA-Sprint's family: TrigFlow consistency models on a SANA transformer.

Follows diffusers' SanaSprintPipeline and SCMScheduler, as functions that are differentiable in the initial noise
and draw no noise of their own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from diffusers import AutoencoderDC, SanaTransformer2DModel

    from hypernoise.generators.protocol import Encoded, StepNoise

MAX_TIMESTEP = 1.57080
INTERMEDIATE_TIMESTEP = 1.3
"""SANA-Sprint's second timestep where there are two."""


def timesteps(steps: int) -> list[float]:
    """The angles at which the denoiser is called, in falling order."""
    if steps < 1:
        raise ValueError(f"a generator needs at least one step, not {steps}")
    if steps == 2:
        return [MAX_TIMESTEP, INTERMEDIATE_TIMESTEP]
    return [MAX_TIMESTEP * (1 - index / steps) for index in range(steps)]


def flow_time(angle: float) -> float:
    """The flow-matching time s in [0, 1] at which x_s points the same way as TrigFlow's x at an angle."""
    return math.sin(angle) / (math.cos(angle) + math.sin(angle))


def trigflow_velocity(flow_input: torch.Tensor, output: torch.Tensor, s: float) -> torch.Tensor:
    """TrigFlow's dx/dt from the transformer's flow-matching output at x_s = (1 - s) z + s eps."""
    return ((1 - 2 * s) * flow_input + (1 - 2 * s + 2 * s * s) * output) / math.hypot(s, 1 - s)


class ScmSampler(nn.Module):
    """A SANA transformer and its autoencoder, sampled as SANA-Sprint is."""

    def __init__(
        self,
        transformer: SanaTransformer2DModel,
        autoencoder: AutoencoderDC,
        sigma_data: float = 0.5,
        guidance_scale: float = 4.5,
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.autoencoder = autoencoder
        self.sigma_data = sigma_data
        self.guidance_scale = guidance_scale

    def output(self, flow_input: torch.Tensor, condition: Encoded, s: float) -> torch.Tensor:
        """The transformer's output [B, C, H, W] as it is, in the precision of x_s, which has unit scale."""
        size = (flow_input.shape[0],)
        guidance = self.guidance_scale * self.transformer.config.guidance_embeds_scale
        output: torch.Tensor = self.transformer(
            flow_input.to(self.transformer.dtype),
            encoder_hidden_states=condition.tensors["embeddings"],
            encoder_attention_mask=condition.tensors["mask"],
            timestep=flow_input.new_full(size, s),
            guidance=flow_input.new_full(size, guidance),
            return_dict=False,
        )[0]
        return output.to(flow_input.dtype)

    def denoise(self, latents: torch.Tensor, condition: Encoded, angle: float) -> torch.Tensor:
        """The consistency function: predicted clean latents [B, C, H, W], scaled as `latents` by sigma_data."""
        s = flow_time(angle)
        flow_input = latents / self.sigma_data * math.hypot(s, 1 - s)
        output = self.output(flow_input, condition, s)
        velocity = self.sigma_data * trigflow_velocity(flow_input, output, s)
        return math.cos(angle) * latents - math.sin(angle) * velocity

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] from clean latents of unit scale."""
        scaled = latents.to(self.autoencoder.dtype) / self.autoencoder.config.scaling_factor
        image: torch.Tensor = self.autoencoder.decode(scaled, return_dict=False)[0].to(latents.dtype)
        return (image / 2 + 0.5).clamp(0, 1)

    def forward(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] from x0 [B, C, H, W] ~ N(0, I).

        Raises:
            ValueError: if there is more than one step and no `step_noise`.
        """
        if steps > 1 and step_noise is None:
            raise ValueError("a sampler of several steps needs step_noise")
        latents = x0 * self.sigma_data
        denoised = latents
        for index, angle in enumerate(timesteps(steps)):
            if index > 0 and step_noise is not None:
                noise = self.sigma_data * step_noise(index)
                latents = math.cos(angle) * denoised + math.sin(angle) * noise
            denoised = self.denoise(latents, condition, angle)
        return self.decode(denoised / self.sigma_data)
