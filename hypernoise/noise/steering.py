"""What a training optimizes: the noise that a frozen generator starts from, or the generator itself.

Both turn (x0, condition) into images and delta, so that one training serves both and one method each runs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch.utils.checkpoint import checkpoint

from hypernoise.noise.adapters import Adapter, LoraSettings, adapted_layers
from hypernoise.noise.clipping import clip_each
from hypernoise.noise.hypernetwork import NoiseHypernetwork

if TYPE_CHECKING:
    from hypernoise.generators.protocol import Encoded, Generator


class Steering(Protocol):
    """An adapter and how it enters generation."""

    adapter: Adapter

    def __call__(self, x0: torch.Tensor, condition: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
        """One-step images [B, 3, H, W] in [0, 1] and delta [B, *latent_shape] for initial noise x0."""
        ...


class SteersNoise:
    """HyperNoise, Algorithm 1: the image of x0 + f_φ(x0).

    `max_gradient` limits the norm of what reaches each sample's modulated noise from its image in a backward pass; 0
    does not.
    """

    max_gradient: float = 0.0

    def __init__(
        self, generator: Generator, settings: LoraSettings, seed: int, *, checkpointing: bool
    ) -> None:
        self.generator, self.checkpointing = generator, checkpointing
        self.network = NoiseHypernetwork.new(generator, settings, seed)
        self.adapter = self.network.adapter

    def __call__(self, x0: torch.Tensor, condition: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
        """Images of modulated noise; with `checkpointing` f_φ's activations are computed again, not kept."""
        if self.checkpointing:
            delta = checkpoint(self.network, x0, condition, use_reentrant=False)
        else:
            delta = self.network(x0, condition)
        modulated = x0 + delta
        if self.max_gradient and modulated.requires_grad:
            modulated.register_hook(lambda gradient: clip_each(gradient, self.max_gradient))
        return self.generator.generate(modulated, condition), delta


class SteersGenerator:
    """Direct LoRA fine-tuning: the image of x0 by the adapted generator; delta is 0."""

    def __init__(
        self, generator: Generator, settings: LoraSettings, seed: int, *, checkpointing: bool
    ) -> None:
        self.generator, self.checkpointing = generator, checkpointing
        layers = adapted_layers(generator.denoiser, dense_depthwise=settings.dense_depthwise)
        self.adapter = Adapter(generator.denoiser, layers, settings, seed)

    def _images(self, x0: torch.Tensor, condition: Encoded) -> torch.Tensor:
        with self.adapter.active():
            return self.generator.generate(x0, condition)

    def __call__(self, x0: torch.Tensor, condition: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
        """Images of x0 itself."""
        if self.checkpointing:
            images = checkpoint(self._images, x0, condition, use_reentrant=False)
        else:
            images = self._images(x0, condition)
        return images, torch.zeros_like(x0)


STEERINGS: dict[str, type[SteersNoise] | type[SteersGenerator]] = {
    "hypernoise": SteersNoise,
    "lora": SteersGenerator,
}
"""By the word that `hn train` takes."""
