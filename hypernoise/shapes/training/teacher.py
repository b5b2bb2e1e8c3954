"""Training of the teacher: a text-conditional flow-matching model in the autoencoder's latent space.

The flow is x_s = (1 - s) z + s eps with velocity eps - z, which SANA-Sprint's pipeline turns into TrigFlow by a
change of variables; a model trained here is therefore sampled through the SCM code path as it is.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from hypernoise.shapes.networks import TRANSFORMER, TextEncoder, build_transformer
from hypernoise.shapes.training.data import draw_pool, trimmed
from hypernoise.shapes.training.loop import LoopSettings, train
from hypernoise.shapes.vocabulary import PAD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusers import AutoencoderDC

SETTINGS = LoopSettings(steps=5000, batch=128, seed=2)

POOL_SIZE = 200 * 512
"""Scenes drawn for the training; each is seen about six times, always with fresh noise."""

CAPTION_DROPOUT = 0.1
NO_GUIDANCE = 1.0
"""Guidance scale that stands for the conditional model as it is."""


class Denoiser(nn.Module):
    """Text encoder and transformer as one trainable module."""

    def __init__(self) -> None:
        super().__init__()
        self.text = TextEncoder()
        self.transformer = build_transformer()

    def velocity(
        self,
        latents: torch.Tensor,
        times: torch.Tensor,
        text: tuple[torch.Tensor, torch.Tensor],
        guidance: float | torch.Tensor = NO_GUIDANCE,
    ) -> torch.Tensor:
        """Predicted eps - z, float32 [B, C, H, W], for latents x_s at times s [B] in [0, 1]."""
        scale = TRANSFORMER["guidance_embeds_scale"] * torch.as_tensor(guidance).expand(latents.shape[0])
        output: torch.Tensor = self.transformer(
            latents,
            encoder_hidden_states=text[0],
            encoder_attention_mask=text[1],
            timestep=times,
            guidance=scale,
            return_dict=False,
        )[0]
        return output


@torch.no_grad()
def latents_of(autoencoder: AutoencoderDC, images: torch.Tensor) -> torch.Tensor:
    """Scaled latents [B, C, H, W] of images [B, 3, 32, 32] in [0, 1]."""
    pixels = (images * 2 - 1).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        latents = autoencoder.encode(pixels).latent
    return latents.float().contiguous() * autoencoder.config.scaling_factor


def drop_captions(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens with a random tenth of the captions emptied, for classifier-free guidance."""
    dropped = torch.rand(tokens.shape[0], 1) < CAPTION_DROPOUT
    return tokens.masked_fill(dropped, PAD)


def train_teacher(autoencoder: AutoencoderDC, folder: Path) -> Denoiser:
    """Train and return the averaged teacher."""
    torch.manual_seed(SETTINGS.seed)
    model = Denoiser()

    def batches_from(start: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        pool = draw_pool(partial(latents_of, autoencoder), POOL_SIZE, SETTINGS.seed)
        return pool.batches(SETTINGS.seed, SETTINGS.batch, start)

    def loss_of(batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        latents, tokens = batch
        noise = torch.randn_like(latents)
        times = torch.sigmoid(0.4 + 1.2 * torch.randn(latents.shape[0]))
        mix = times[:, None, None, None]
        text = model.text(drop_captions(trimmed(tokens)))
        predicted = model.velocity((1 - mix) * latents + mix * noise, times, text)
        return (predicted - (noise - latents)).square().mean(), {}

    return train("teacher", model, loss_of, batches_from, SETTINGS, folder)
