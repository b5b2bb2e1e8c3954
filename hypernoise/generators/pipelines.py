"""What generators that are diffusers pipelines share: files, loading, text, and sampling with gradients.

An image is made by the pipeline's own call, without the decorator that would switch gradients off, so that it is the
image that diffusers makes of the same noise.
"""

from __future__ import annotations

from inspect import unwrap
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from torch import nn
from transformers.utils import logging as transformers_logging

from hypernoise.errors import HnError
from hypernoise.generators.frozen import spare_inputs
from hypernoise.generators.memory import CPU, fetched, save_memory
from hypernoise.generators.protocol import AMPLE, Encoded, Generator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from hypernoise.generators.protocol import Memory, StepNoise

RENO_REWARDS = {"hps": 5.0, "imagereward": 1.0, "clip": 0.01, "pickscore": 0.05}
"""The rewards of ReNO and HyperNoise with their published weights."""


def pipeline_files(*models: str, sharded: Sequence[str] = ()) -> tuple[str, ...]:
    """Patterns of a pipeline's files: full precision, safetensors, a tokenizer with each text encoder.

    Args:
        models: Folders of models in one file each, such as "vae".
        sharded: Folders of models in several files with an index.
    """
    patterns = ["model_index.json", "scheduler/scheduler_config.json"]
    for model in (*models, *sharded):
        text = model.startswith("text_encoder")
        stem = "model" if text else "diffusion_pytorch_model"
        shards = [f"{stem}-*.safetensors", f"{stem}.safetensors.index.json"]
        weights = shards if model in sharded else [f"{stem}.safetensors"]
        patterns += [f"{model}/{file}" for file in ("config.json", *weights)]
        patterns += [f"{model.replace('text_encoder', 'tokenizer')}/*"] if text else []
    return tuple(patterns)


def precision(device: torch.device) -> torch.dtype:
    """What weights are loaded as: half the memory on a GPU; a CPU is slower with less than 32 bits."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def noise_sources(x0: torch.Tensor, step_noise: StepNoise | None) -> list[torch.Generator]:
    """A source of a sampler's own noise for every sample, seeded with bits of its step noise, or with 0."""
    bits = (torch.zeros_like(x0) if step_noise is None else step_noise(1)).detach().float().cpu()
    seeds = bits.flatten(1)[:, :2].contiguous().view(torch.int64).flatten().tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class PipelineGenerator(Generator):
    """A generator that is a diffusers pipeline; subclasses say which, and how its text and denoiser are called.

    Computes in bfloat16 on a GPU and in float32 elsewhere; noise and images stay in the precision of x0. Decodes one
    image at a time, and keeps no input of the decoder's convolutions for a backward pass.
    """

    default_rewards: ClassVar[Mapping[str, float]] = RENO_REWARDS
    training_prompts: ClassVar[tuple[str, ...]] = ("t2i-compbench-train", "abc-6k", "pick-a-pic-v2")
    base_only: ClassVar[bool] = False

    pipeline_class: ClassVar[Any]
    options: ClassVar[Mapping[str, Any]] = {}
    """What the pipeline is loaded with; parts named None are left out."""
    network: ClassVar[str] = "transformer"
    """The pipeline's name for its denoiser."""
    embeddings: ClassVar[tuple[str, ...]]
    """Names of what the pipeline's `encode_prompt` returns; those by which its call takes them, if that samples."""
    guidance: ClassVar[float]
    """Strength of guidance; of the classifier-free kind, 1 and less is none."""

    def __init__(self, pipeline: Any, device: torch.device, memory: Memory = AMPLE) -> None:
        self.pipeline, self.device = pipeline, device
        pipeline.set_progress_bar_config(disable=True)
        pipeline.vae.enable_slicing()
        spare_inputs(pipeline.vae)
        parts = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
        texts = [part for name, part in parts.items() if name.startswith("text_encoder")]
        self._offloaded = texts if memory.offload else []
        for part in parts.values():
            part.to(CPU if part in self._offloaded else device)
            part.eval().requires_grad_(requires_grad=False)
        self.parameters = sum(p.numel() for p in self.denoiser.parameters())
        self.latent_shape: tuple[int, ...] = self._latent_shape()
        save_memory(memory, self.denoiser, pipeline.vae, self.resolution)

    def _latent_shape(self) -> tuple[int, ...]:
        config: Any = self.denoiser.config
        return config.in_channels, config.sample_size, config.sample_size

    @classmethod
    def load(cls, device: torch.device, memory: Memory = AMPLE) -> Self:
        """Load the weights from the hub's cache, after a download where they are missing.

        Raises:
            HnError: if they cannot be had or read.
        """
        folders = [source.fetch() for source in cls.card.sources]
        for library in (diffusers_logging, transformers_logging):
            library.disable_progress_bar()  # theirs would be drawn over ours
        try:
            pipeline = cls._open(folders, precision(device))
        except (OSError, ValueError, SafetensorError) as error:
            caches = " and ".join(str(folder.parents[1]) for folder in folders)  # a snapshot is links into it
            raise HnError(
                f"The files of {cls.name} cannot be read ({type(error).__name__}): delete {caches}, and the same "
                "command downloads them again."
            ) from error
        return cls(pipeline, device, memory)

    @classmethod
    def _open(cls, folders: Sequence[Path], dtype: torch.dtype, **parts: Any) -> Any:
        """The pipeline in the first folder, with some of its parts given."""
        return cls.pipeline_class.from_pretrained(
            folders[0], dtype=dtype, use_safetensors=True, local_files_only=True, **cls.options, **parts
        )

    @property
    def denoiser(self) -> nn.Module:
        """The U-Net or transformer."""
        denoiser: nn.Module = getattr(self.pipeline, self.network)
        return denoiser

    @property
    def compilable(self) -> Sequence[nn.Module]:
        """The denoiser and the decoder."""
        return self.denoiser, self.pipeline.vae.decoder

    @property
    def dtype(self) -> torch.dtype:
        """What is computed in."""
        dtype: torch.dtype = self.pipeline.vae.dtype
        return dtype

    @property
    def resolution(self) -> int:
        """Height and width of the images."""
        return self.latent_shape[1] * int(self.pipeline.vae_scale_factor)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Encoded:
        """What the pipeline makes of the prompts, under the names in `embeddings`."""
        with fetched(self._offloaded, self.device):
            encoded = zip(self.embeddings, self._encode_prompt(list(prompts)), strict=True)
        return Encoded({name: tensor for name, tensor in encoded if tensor is not None})

    def _encode_prompt(self, prompts: list[str]) -> Sequence[torch.Tensor | None]:
        encoded: Sequence[torch.Tensor | None] = self.pipeline.encode_prompt(
            prompts,
            device=self.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=self.guidance > 1,
        )
        return encoded

    def _schedule(self, steps: int) -> dict[str, Any]:
        """How the pipeline's call is told the number of steps."""
        return {"num_inference_steps": steps}

    def _packed(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents [B, *latent_shape] as the pipeline's call and its denoiser take them."""
        return latents

    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] from initial noise [B, *latent_shape]; differentiable in x0.

        A sampler that draws noise of its own draws it for each sample from a seed in its `step_noise`; without
        one, the same for all.
        """
        images: torch.Tensor = unwrap(type(self.pipeline).__call__)(
            self.pipeline,
            latents=self._packed(x0.to(self.dtype)),
            guidance_scale=self.guidance,
            height=self.resolution,
            width=self.resolution,
            generator=noise_sources(x0, step_noise),
            output_type="pt",
            return_dict=False,
            **self._schedule(steps),
            **condition.tensors,
        )[0]
        return images.to(x0.dtype)
