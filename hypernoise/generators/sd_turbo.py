"""Stable Diffusion's U-Nets, and the one-step generators among them: SD-Turbo and SDXL-Turbo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from hypernoise.generators.pipelines import PipelineGenerator, pipeline_files
from hypernoise.generators.protocol import Card
from hypernoise.hub import HubFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from hypernoise.generators.protocol import Encoded


class StableDiffusion(PipelineGenerator):
    """A U-Net under one text encoder."""

    pipeline_class: ClassVar[Any] = StableDiffusionPipeline
    options: ClassVar[Mapping[str, Any]] = {
        "safety_checker": None,
        "requires_safety_checker": False,
        "feature_extractor": None,
    }
    network: ClassVar[str] = "unet"
    last_layer: ClassVar[str] = "conv_out"
    embeddings: ClassVar[tuple[str, ...]] = ("prompt_embeds", "negative_prompt_embeds")

    def _added(self, condition: Encoded) -> dict[str, torch.Tensor]:
        """Further conditions of the U-Net."""
        del condition
        return {}

    def predict(self, x0: torch.Tensor, condition: Encoded) -> torch.Tensor:
        """The U-Net's output for x0 of unit scale [B, *latent_shape] at the last timestep of training."""
        output: torch.Tensor = self.denoiser(
            x0.to(self.dtype),
            self.pipeline.scheduler.config.num_train_timesteps - 1,
            encoder_hidden_states=condition.tensors["prompt_embeds"],
            added_cond_kwargs=self._added(condition),
            return_dict=False,
        )[0]
        return output.to(x0.dtype)


class StableDiffusionXL(StableDiffusion):
    """A U-Net under two text encoders, which is told the size of its image."""

    pipeline_class: ClassVar[Any] = StableDiffusionXLPipeline
    options: ClassVar[Mapping[str, Any]] = {"add_watermarker": False}
    embeddings: ClassVar[tuple[str, ...]] = (
        "prompt_embeds",
        "negative_prompt_embeds",
        "pooled_prompt_embeds",
        "negative_pooled_prompt_embeds",
    )

    def _added(self, condition: Encoded) -> dict[str, torch.Tensor]:
        pooled = condition.tensors["pooled_prompt_embeds"]
        size = (self.resolution, self.resolution)
        sizes_and_crop = pooled.new_tensor([*size, 0, 0, *size])
        return {"text_embeds": pooled, "time_ids": sizes_and_crop.expand(len(pooled), -1)}


class SdTurbo(StableDiffusion):
    """SD-Turbo at 512 pixels (Sauer et al. 2023)."""

    name: ClassVar[str] = "sd-turbo"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                "stabilityai/sd-turbo",
                pipeline_files("text_encoder", "unet", "vae"),
                gigabytes=5.2,
                licence="Stability AI Community License",
            ),
        ),
        parameters=0.866,
        resolution=512,
        steps=1,
        gigabytes=4,
    )
    guidance: ClassVar[float] = 0.0


class SdxlTurbo(StableDiffusionXL):
    """SDXL-Turbo at 512 pixels (Sauer et al. 2023)."""

    name: ClassVar[str] = "sdxl-turbo"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                "stabilityai/sdxl-turbo",
                pipeline_files("text_encoder", "text_encoder_2", "unet", "vae"),
                gigabytes=13.9,
                licence="Stability AI Non-Commercial Research Community License",
            ),
        ),
        parameters=2.567,
        resolution=512,
        steps=1,
        gigabytes=9,
    )
    guidance: ClassVar[float] = 0.0
