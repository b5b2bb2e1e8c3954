"""The embedded world's reward networks: how well an image shows what a caption says, as a logit.

A dual encoder, of CLIP's kind, embeds image and caption apart and compares two vectors; a cross-attention scorer, of
ImageReward's kind, lets the caption's words look at the image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_2d_sincos_pos_embed
from torch import nn

from hypernoise.shapes.networks import TextEncoder

Text = dict[str, torch.Tensor]

WIDTH = 96
GRID = 8
"""Rows and columns of an image's places, cells of 4x4 pixels."""


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


class Trunk(nn.Module):
    """Convolutions from pixels to places."""

    def __init__(self, width: int = WIDTH, channels: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(32, channels, 3, stride=2, padding=1),
            _Residual(channels),
            _Residual(channels),
            nn.Conv2d(channels, width, 1),
        )
        self.norm = nn.LayerNorm(width)
        self.positions = nn.Parameter(get_2d_sincos_pos_embed(width, GRID, output_type="pt").float())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Places [B, P, C] of images [B, 3, 32, 32] in [0, 1]."""
        return self.look(images) + self.positions

    def look(self, images: torch.Tensor) -> torch.Tensor:
        """What is seen at the places [B, P, C], not yet where they are."""
        places: torch.Tensor = self.norm(self.layers(images * 2 - 1).flatten(2).transpose(1, 2))
        return places


class Scorer(nn.Module, ABC):
    """What the two networks have in common."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = Trunk(width)

    @abstractmethod
    def read(self, tokens: torch.Tensor) -> Text:
        """Encode captions, int64 [N, T], to tensors [N, ...]."""

    @abstractmethod
    def match(self, places: torch.Tensor, text: Text) -> torch.Tensor:
        """Logits [B, K] of images' places [B, P, C] and K encoded captions each, tensors [B, K, ...]."""


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


class CrossScorer(Scorer):
    """Words look at places; the caption holds as far as its worst word does."""

    def __init__(self, width: int = WIDTH, layers: int = 3, heads: int = 4) -> None:
        super().__init__(width)
        self.text = TextEncoder(width, layers=1, heads=heads)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(_Reading(width, heads) for _ in range(layers))
        self.verdict = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def read(self, tokens: torch.Tensor) -> Text:
        """Words' embeddings [N, T, C] and their mask [N, T]."""
        embeddings, mask = self.text(tokens)
        return {"embeddings": embeddings, "mask": mask}

    def match(self, places: torch.Tensor, text: Text) -> torch.Tensor:
        """The smallest of the words' verdicts, softly."""
        seen = self.norm(places)
        words, mask = text["embeddings"], text["mask"]
        for layer in self.layers:
            words = layer(words, mask, seen)
        verdicts = self.verdict(words).squeeze(3).masked_fill(~mask, torch.inf)
        return -torch.logsumexp(-verdicts, dim=2)


class DualScorer(Scorer):
    """An image's vector, a mean over its places, against a caption's: a scaled cosine."""

    def __init__(self, width: int = WIDTH, layers: int = 2, heads: int = 4, embedding: int = 256) -> None:
        super().__init__(width)
        self.text = TextEncoder(width, layers=2, heads=heads)
        self.caption = nn.Sequential(nn.Linear(width, embedding), nn.GELU(), nn.Linear(embedding, embedding))
        layer = nn.TransformerEncoderLayer(
            width, heads, 3 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.place = nn.Sequential(nn.Linear(width, embedding), nn.GELU(), nn.Linear(embedding, embedding))
        self.scale = nn.Parameter(torch.tensor(2.5))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def read(self, tokens: torch.Tensor) -> Text:
        """Unit vectors [N, D]."""
        words, mask = self.text(tokens)
        weight = mask.unsqueeze(2).float()
        pooled = (words * weight).sum(1) / weight.sum(1)
        return {"embedding": F.normalize(self.caption(pooled), dim=1)}

    def see(self, places: torch.Tensor) -> torch.Tensor:
        """Unit vectors [B, D] of images' places."""
        return F.normalize(self.place(self.layers(places)).mean(1), dim=1)

    def match(self, places: torch.Tensor, text: Text) -> torch.Tensor:
        """The cosine of image and caption, scaled and shifted as SigLIP's."""
        cosine = torch.einsum("bc,bkc->bk", self.see(places), text["embedding"])
        return self.scale.exp() * cosine + self.bias
