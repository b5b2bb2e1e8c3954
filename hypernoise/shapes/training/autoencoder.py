"""Training of the autoencoder: 32x32 images to 8x8 latents with 8 channels, diffusers' AutoencoderDC."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from hypernoise.shapes.networks import build_autoencoder
from hypernoise.shapes.training.data import batches, random_batch
from hypernoise.shapes.training.loop import LoopSettings, train

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import AutoencoderDC

    from hypernoise.shapes.training.data import Batch

SETTINGS = LoopSettings(steps=1500, batch=64, seed=1, adam_rate=1.5e-3, muon_rate=0.0, ema=0.995)

LATENT_NOISE = 0.3
"""Standard deviation of the noise that latents get before decoding: makes the latent space smooth."""


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Distance of images [B, 3, H, W] in [-1, 1], the foreground counted five times.

    Plain L1 settles on the median, grey; the squared term keeps colors and the gradient term edges.
    """
    ground = target.flatten(2).median(dim=2).values[:, :, None, None]
    weight = 1 + 4 * ((target - ground).abs().amax(dim=1, keepdim=True) > 0.1).float()
    difference = output - target
    edges = sum((weight.narrow(dim, 1, 31) * difference.diff(dim=dim).abs()).mean() for dim in (2, 3))
    return (weight * (difference.abs() + 3 * difference.square())).mean() + 0.5 * edges


def train_autoencoder(folder: Path) -> AutoencoderDC:
    """Train and return the averaged autoencoder, its latents scaled to unit variance by `scaling_factor`."""
    torch.manual_seed(SETTINGS.seed)
    autoencoder = build_autoencoder().to(memory_format=torch.channels_last)

    def loss_of(batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        target = (batch.images * 2 - 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents = autoencoder.encode(target).latent.float()
            noisy = latents + LATENT_NOISE * torch.randn_like(latents)
            output = autoencoder.decode(noisy).sample.float()
        spread = latents.std(dim=(0, 2, 3))
        scale = (spread - 1).square().mean() + latents.mean(dim=(0, 2, 3)).square().mean()
        loss = reconstruction_loss(output, target)
        return loss + 0.1 * scale, {
            "psnr": float(-10 * torch.log10(F.mse_loss(output.detach() / 2, target / 2)))
        }

    averaged = train(
        "autoencoder", autoencoder, loss_of, partial(batches, SETTINGS.seed, SETTINGS.batch), SETTINGS, folder
    )
    averaged.register_to_config(scaling_factor=1 / _spread(averaged))
    return averaged


@torch.no_grad()
def _spread(autoencoder: AutoencoderDC) -> float:
    """Standard deviation of the latents of 512 training images."""
    images = random_batch(np.random.default_rng(SETTINGS.seed), 512).images
    return float(autoencoder.encode(images * 2 - 1).latent.std())
