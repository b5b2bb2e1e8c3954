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


class _Reading(nn.Module):
    """One layer of a caption reading an image: words attend to words, then to places, then think."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.words = nn.MultiheadAttention(width, heads, batch_first=True)
        self.places = nn.MultiheadAttention(width, heads, batch_first=True)
        self.think = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(self, text: torch.Tensor, mask: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """`text` [B, K, T, C] with `mask` [B, K, T], `image` [B, P, C]: K captions read each image."""
        batch, captions, length, width = text.shape
        flat = text.flatten(0, 1)
        normed = self.norms[0](flat)
        flat = flat + self.words(normed, normed, normed, ~mask.flatten(0, 1), need_weights=False)[0]
        rows = flat.view(batch, captions * length, width)
        rows = rows + self.places(self.norms[1](rows), image, image, need_weights=False)[0]
        rows = rows + self.think(self.norms[2](rows))
        return rows.view(batch, captions, length, width)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


class MatchScorer(nn.Module):
    """A cross-attention scorer, of ImageReward's kind: how well an image shows what a caption says, as a logit."""

    def __init__(self, width: int = 96, channels: int = 64, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.text = TextEncoder(width, layers=1, heads=heads)
        self.image = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(32, channels, 3, stride=2, padding=1),
            _Residual(channels),
            _Residual(channels),
            nn.Conv2d(channels, width, 1),
        )
        self.places = nn.Parameter(0.02 * torch.randn(64, width))
        self.image_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(_Reading(width, heads) for _ in range(layers))
        self.verdict = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def forward(self, images: torch.Tensor, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of images [B, 3, 32, 32] in [0, 1] and K encoded captions each, [B, K, T, C], [B, K, T]."""
        seen = self.image(images * 2 - 1).flatten(2).transpose(1, 2)
        seen = self.image_norm(seen + self.places)
        text = embeddings
        for layer in self.layers:
            text = layer(text, mask, seen)
        weight = mask.unsqueeze(3).float()
        pooled = (text * weight).sum(2) / weight.sum(2)
        logits: torch.Tensor = self.verdict(pooled).squeeze(2)
        return logits
