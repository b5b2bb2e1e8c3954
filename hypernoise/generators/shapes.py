"""The embedded world's one-step generator, bundled with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from diffusers import AutoencoderDC, SanaTransformer2DModel

from hypernoise.generators.frozen import spare_inputs
from hypernoise.generators.memory import CPU, fetched, save_memory
from hypernoise.generators.protocol import AMPLE, Card, Encoded, Generator
from hypernoise.generators.scm import ScmSampler
from hypernoise.shapes.networks import LATENT_SHAPE, TextEncoder
from hypernoise.shapes.vocabulary import tokenize
from hypernoise.shapes.weights import adapters, bundle, hashes, load_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from hypernoise.generators.protocol import Memory, StepNoise


class ShapesGenerator(Generator):
    """A tiny SANA-Sprint that draws flat shapes, 32x32 pixels."""

    name: ClassVar[str] = "shapes"
    card: ClassVar[Card] = Card(
        sources=(), parameters=0.0024, resolution=32, steps=1, gigabytes=0.1, batch=40
    )
    suites: ClassVar[tuple[str, ...]] = ("shapes",)
    default_rewards: ClassVar[Mapping[str, float]] = {"shapes-match": 1.0}
    training_prompts: ClassVar[tuple[str, ...]] = ("shapes-train",)
    adapters: ClassVar[Mapping[str, str]] = {
        method: str(adapters() / method) for method in ("hypernoise", "lora-finetune")
    }
    base_only: ClassVar[bool] = False
    last_layer: ClassVar[str] = "proj_out"
    latent_shape: tuple[int, ...] = LATENT_SHAPE

    def __init__(
        self, text_encoder: TextEncoder, sampler: ScmSampler, device: torch.device, memory: Memory = AMPLE
    ) -> None:
        self._offloaded = [text_encoder] if memory.offload else []
        self.text_encoder = text_encoder.eval().requires_grad_(requires_grad=False)
        self.text_encoder.to(CPU if memory.offload else device)
        self.sampler = sampler.to(device).eval().requires_grad_(requires_grad=False)
        self.device = device
        self.parameters = sum(p.numel() for p in sampler.transformer.parameters())
        save_memory(memory, sampler.transformer, sampler.autoencoder, self.card.resolution)

    @classmethod
    def load(cls, device: torch.device, memory: Memory = AMPLE) -> ShapesGenerator:
        """Load the bundled weights."""
        text_encoder = TextEncoder()
        text_encoder.load_state_dict(load_state(bundle() / "text_encoder.safetensors"))
        bundled = {"torch_dtype": torch.float32, "use_safetensors": True, "local_files_only": True}
        transformer = SanaTransformer2DModel.from_pretrained(bundle() / "transformer", **bundled)
        autoencoder = AutoencoderDC.from_pretrained(bundle() / "autoencoder", **bundled)
        spare_inputs(autoencoder)
        return cls(text_encoder, ScmSampler(transformer, autoencoder), device, memory)

    @classmethod
    def weights(cls) -> dict[str, str]:
        """sha256 of the bundled weight and configuration files."""
        return hashes("text_encoder.safetensors", "transformer", "autoencoder")

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Encoded:
        """Text embeddings [B, T, C] and mask [B, T]."""
        tokens = torch.from_numpy(tokenize(list(prompts))).to(self.device)
        with fetched(self._offloaded, self.device):
            embeddings, mask = self.text_encoder(tokens)
        return Encoded({"embeddings": embeddings, "mask": mask})

    @property
    def denoiser(self) -> nn.Module:
        """The SANA transformer."""
        return self.sampler.transformer

    @property
    def compilable(self) -> Sequence[nn.Module]:
        """The denoiser and the decoder."""
        return self.sampler.transformer, self.sampler.autoencoder.decoder

    def predict(self, x0: torch.Tensor, condition: Encoded) -> torch.Tensor:
        """The transformer's output [B, 8, 8, 8] for x0 at time 1."""
        return self.sampler.output(x0, condition, s=1.0)

    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """Images [B, 3, 32, 32] in [0, 1]; see `ScmSampler`."""
        images: torch.Tensor = self.sampler(x0, condition, steps, step_noise)
        return images
