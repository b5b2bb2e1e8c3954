"""How generators save memory: see `Memory` in protocol.py."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderDC
from peft.tuners.lora import LoraLayer
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

    from hypernoise.generators.protocol import Memory

CPU = torch.device("cpu")


def save_memory(memory: Memory, denoiser: Any, autoencoder: Any, resolution: int) -> None:
    """Make a generator's networks do as `memory` says, in place; its images have `resolution` pixels."""
    if memory.checkpointing:
        denoiser.enable_gradient_checkpointing(_recomputed)
        decoder = autoencoder.decoder  # it is called for each image, or for each tile
        decoder.forward = partial(checkpoint, decoder.forward, use_reentrant=False)
    if memory.tiling:
        _tile(autoencoder, resolution // 2)


def _recomputed(block: nn.Module, *inputs: Any) -> Any:
    """A block's output; what it computes on the way is computed again in the backward pass, not kept.

    Not where an adapter is active: by the time of the backward pass it no longer is.
    """
    layers = (layer for layer in block.modules() if isinstance(layer, LoraLayer))
    if any(not layer.disable_adapters for layer in layers):
        return block(*inputs)
    return checkpoint(block, *inputs, use_reentrant=False)


def _tile(autoencoder: Any, side: int) -> None:
    """Decode in tiles of `side` pixels, of which a quarter overlaps the next; diffusers' own may exceed the image."""
    if isinstance(autoencoder, AutoencoderDC):
        autoencoder.enable_tiling(side, side, side * 3 // 4, side * 3 // 4)
    else:
        scale = 2 ** (len(autoencoder.config.block_out_channels) - 1)
        autoencoder.enable_tiling()
        autoencoder.tile_sample_min_size, autoencoder.tile_latent_min_size = side, side // scale
        autoencoder.tile_overlap_factor = 0.25


@contextmanager
def fetched(offloaded: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    """Inside, networks that wait in the CPU's memory are on the device."""
    for network in offloaded:
        network.to(device)
    try:
        yield
    finally:
        for network in offloaded:
            network.to(CPU)
