"""FLUX's transformers, and the step-distilled one among them: FLUX.1-schnell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers import FluxPipeline

from hypernoise.generators.pipelines import PipelineGenerator, pipeline_files
from hypernoise.generators.protocol import Card
from hypernoise.hub import HubFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.generators.protocol import Encoded

FILES = pipeline_files("text_encoder", "vae", sharded=("text_encoder_2", "transformer"))
PATCH = 2
"""Side of the squares of latents that the transformer sees as one token."""


def pack(latents: torch.Tensor) -> torch.Tensor:
    """Tokens [B, H/2 · W/2, 4C] from latents [B, C, H, W]."""
    return F.pixel_unshuffle(latents, PATCH).flatten(2).transpose(1, 2)


def unpack(tokens: torch.Tensor, side: int) -> torch.Tensor:
    """Latents [B, C, side, side] from tokens [B, (side/2)², 4C]."""
    grid = tokens.transpose(1, 2).unflatten(2, (side // PATCH, side // PATCH))
    return F.pixel_shuffle(grid, PATCH)


class Flux(PipelineGenerator):
    """A transformer over latents in patches and text; x0 is not packed: [16, H/8, W/8]."""

    pipeline_class: ClassVar[Any] = FluxPipeline
    last_layer: ClassVar[str] = "proj_out"
    embeddings: ClassVar[tuple[str, ...]] = ("prompt_embeds", "pooled_prompt_embeds")
    text_length: ClassVar[int]
    """Tokens of T5 that a prompt takes."""

    def _latent_shape(self) -> tuple[int, ...]:
        side = self.card.resolution // self.pipeline.vae_scale_factor
        config: Any = self.denoiser.config
        return config.in_channels // PATCH**2, side, side

    def _encode_prompt(self, prompts: list[str]) -> Sequence[torch.Tensor | None]:
        embeddings, pooled, _ = self.pipeline.encode_prompt(
            prompts, device=self.device, max_sequence_length=self.text_length
        )
        return embeddings, pooled

    def _packed(self, latents: torch.Tensor) -> torch.Tensor:
        return pack(latents)

    def predict(self, x0: torch.Tensor, condition: Encoded) -> torch.Tensor:
        """The transformer's output [B, *latent_shape] for x0 at time 1, without guidance."""
        latents, text = x0.to(self.dtype), condition.tensors["prompt_embeds"]
        places = self.latent_shape[1] // PATCH
        output: torch.Tensor = self.denoiser(
            hidden_states=pack(latents),
            timestep=latents.new_ones(len(latents)),
            guidance=None,
            pooled_projections=condition.tensors["pooled_prompt_embeds"],
            encoder_hidden_states=text,
            txt_ids=text.new_zeros(text.shape[1], 3),
            img_ids=self.pipeline._prepare_latent_image_ids(
                len(latents), places, places, self.device, self.dtype
            ),
            return_dict=False,
        )[0]
        return unpack(output, self.latent_shape[1]).to(x0.dtype)


class FluxSchnell(Flux):
    """FLUX.1-schnell at 512 pixels, as in the paper (Black Forest Labs 2024)."""

    name: ClassVar[str] = "flux"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                "black-forest-labs/FLUX.1-schnell", FILES, gigabytes=33.7, licence="Apache-2.0", gated=True
            ),
        ),
        parameters=11.89,
        resolution=512,
        steps=4,
        gigabytes=36,
    )
    guidance: ClassVar[float] = 0.0
    text_length: ClassVar[int] = 256
