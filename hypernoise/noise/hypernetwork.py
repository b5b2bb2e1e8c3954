"""The noise hypernetwork f_φ: the generator's denoiser with LoRA, whose last layer gives its LoRA branch alone.

Paper section 3.2. The second matrix of every branch starts at zero, so that delta is exactly 0 at first and the first
image is the base image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hypernoise.errors import HnError
from hypernoise.noise.adapters import Adapter, LoraSettings, adapted_layers, load_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from hypernoise.generators.protocol import Encoded, Generator


class NoiseHypernetwork:
    """f_φ on a generator, by an adapter on its denoiser.

    Raises:
        HnError: if the adapter has no weights for the last layer.
    """

    def __init__(self, generator: Generator, adapter: Adapter) -> None:
        if generator.last_layer not in adapter.layers:
            raise HnError(f"An adapter without weights for {generator.last_layer} is no noise hypernetwork.")
        self.generator, self.adapter = generator, adapter
        self._last = adapter.layers[generator.last_layer]
        self._last.get_base_layer().register_forward_hook(self._without_base)

    def _without_base(self, _layer: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
        """Nothing of the last layer's own output while this adapter is active."""
        mine = not self._last.disable_adapters and self.adapter.name in self._last.active_adapters
        return torch.zeros_like(output) if mine else None

    @classmethod
    def new(cls, generator: Generator, settings: LoraSettings, seed: int) -> NoiseHypernetwork:
        """An untrained one, whose delta is 0."""
        layers = adapted_layers(generator.denoiser, dense_depthwise=settings.dense_depthwise)
        return cls(generator, Adapter(generator.denoiser, layers, settings, seed))

    @classmethod
    def load(cls, generator: Generator, folder: Path) -> NoiseHypernetwork:
        """A trained one.

        Raises:
            HnError: as `load_adapter` does, and if the adapter would leave every noise as it is.
        """
        network = cls(generator, load_adapter(generator.denoiser, folder))
        if not network.adapter.parameters[f"{generator.last_layer}.lora_B.weight"].any():
            raise HnError(f"The adapter {folder} would change no noise: its last layer's weights are zero.")
        return network

    def merge(self) -> None:
        """Merge the adapter, see `Adapter.merge`, but for the last layer, which has no weights to add its branch to."""
        self.adapter.merge(but=[self.generator.last_layer])

    def __call__(self, x0: torch.Tensor, condition: Encoded) -> torch.Tensor:
        """The predicted delta [B, *latent_shape] for initial noise x0 ~ N(0, I) of that shape."""
        with self.adapter.active():
            return self.generator.predict(x0, condition)
