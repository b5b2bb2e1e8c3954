"""The tiny SANA-Sprint that the published HyperNoise was run with, behind our protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import AutoencoderDC, SanaSprintPipeline, SanaTransformer2DModel, SCMScheduler
from transformers import AutoTokenizer, Gemma2Model

from hypernoise.generators.protocol import Encoded
from hypernoise.generators.scm import ScmSampler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import nn


class TinySana:
    """An untrained SANA-Sprint of some ten thousand weights."""

    name: ClassVar[str] = "tiny-sana"
    world: ClassVar[str] = "golden"
    suites: ClassVar[tuple[str, ...]] = ()
    default_rewards: ClassVar[Mapping[str, float]] = {}
    training_prompts: ClassVar[tuple[str, ...]] = ()
    adapters: ClassVar[Mapping[str, Path]] = {}
    last_layer: ClassVar[str] = "proj_out"
    latent_shape: tuple[int, ...] = (4, 8, 8)
    parameters: int = 0
    device = torch.device("cpu")

    def __init__(self, folder: Path) -> None:
        transformer = SanaTransformer2DModel.from_pretrained(folder / "transformer").eval()
        autoencoder = AutoencoderDC.from_pretrained(folder / "vae").eval()
        self.sampler = ScmSampler(transformer, autoencoder).requires_grad_(requires_grad=False)
        self.pipeline = SanaSprintPipeline(
            tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
            text_encoder=Gemma2Model.from_pretrained(folder / "text_encoder").eval(),
            vae=autoencoder,
            transformer=transformer,
            scheduler=SCMScheduler.from_pretrained(folder / "scheduler"),
        )

    @property
    def denoiser(self) -> nn.Module:
        return self.sampler.transformer

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Encoded:
        embeddings, mask = self.pipeline.encode_prompt(list(prompts), complex_human_instruction=None)
        return Encoded({"embeddings": embeddings, "mask": mask})

    def predict(self, x0: torch.Tensor, condition: Encoded) -> torch.Tensor:
        return self.sampler.output(x0, condition, 1.0)

    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: Any = None
    ) -> torch.Tensor:
        return self.sampler(x0, condition, steps, step_noise)
