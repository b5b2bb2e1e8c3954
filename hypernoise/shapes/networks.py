"""The embedded world's networks: a text encoder, diffusers' SANA transformer and deep-compression autoencoder."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderDC, SanaTransformer2DModel
from torch import nn

from hypernoise.shapes.vocabulary import MAX_TOKENS, PAD, WORDS

LATENT_SHAPE = (8, 8, 8)
"""Channels, height and width of a latent."""

TEXT_WIDTH = 96

TRANSFORMER: dict[str, Any] = {
    "in_channels": LATENT_SHAPE[0],
    "out_channels": LATENT_SHAPE[0],
    "sample_size": LATENT_SHAPE[1],
    "patch_size": 2,
    "num_layers": 5,
    "num_attention_heads": 5,
    "attention_head_dim": 32,
    "num_cross_attention_heads": 5,
    "cross_attention_head_dim": 32,
    "cross_attention_dim": 160,
    "caption_channels": TEXT_WIDTH,
    "mlp_ratio": 2.5,
    "interpolation_scale": 1,
    "guidance_embeds": True,
    "guidance_embeds_scale": 0.1,
    "qk_norm": "rms_norm_across_heads",
}
"""SANA-Sprint's configuration with fewer and narrower layers, 16 tokens, and fixed position embeddings."""

AUTOENCODER: dict[str, Any] = {
    "latent_channels": LATENT_SHAPE[0],
    "attention_head_dim": 32,
    "encoder_block_types": "ResBlock",
    "decoder_block_types": "ResBlock",
    "encoder_block_out_channels": (32, 48, 64),
    "decoder_block_out_channels": (32, 48, 64),
    "encoder_layers_per_block": (0, 2, 2),
    "decoder_layers_per_block": (0, 2, 2),
    "encoder_qkv_multiscales": ((), (), ()),
    "decoder_qkv_multiscales": ((), (), ()),
}
"""SANA's autoencoder for 32x32 images: two halvings, convolutions alone."""


class TextEncoder(nn.Module):
    """A small bidirectional transformer over words."""

    def __init__(self, width: int = TEXT_WIDTH, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS), width)
        self.positions = nn.Parameter(0.02 * torch.randn(MAX_TOKENS, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode captions.

        Args:
            tokens: int64 [B, T]; an empty caption is all PAD and is read as its first PAD alone.

        Returns:
            Embeddings float [B, T, width] and their mask bool [B, T].
        """
        mask = tokens != PAD
        mask[:, 0] = True
        hidden = self.words(tokens) + self.positions[: tokens.shape[1]]
        return self.layers(hidden, src_key_padding_mask=~mask), mask


def build_transformer() -> SanaTransformer2DModel:
    """An untrained denoiser."""
    return SanaTransformer2DModel(**TRANSFORMER)


def build_autoencoder() -> AutoencoderDC:
    """An untrained autoencoder."""
    return AutoencoderDC(**AUTOENCODER)
