"""Training of the two rewards: true captions against near misses, and well-formed images against malformed ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from hypernoise.shapes.scorers import WIDTH, CrossScorer, DualScorer, Scorer
from hypernoise.shapes.training.examples import Examples, disturbed, example_batches, malformed
from hypernoise.shapes.training.loop import LoopSettings, train
from hypernoise.shapes.vocabulary import COLORS, SHAPES

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import AutoencoderDC

CLIP = LoopSettings(steps=1800, batch=32, seed=5, adam_rate=1e-3, muon_rate=0.01, ema=0.997)
MATCH = LoopSettings(steps=1800, batch=32, seed=4, adam_rate=1e-3, muon_rate=0.01, ema=0.997)


class Grounded(nn.Module):
    """A scorer with two heads that say, in training alone, what stands at each place."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self.scorer = scorer
        self.shapes = nn.Linear(WIDTH, 1 + len(SHAPES))
        self.colors = nn.Linear(WIDTH, 1 + len(COLORS))

    def forward(self, images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits [B, K] of the captions [B, K, T], and logits [B, 64, classes] of shapes and colors."""
        captions = self.scorer.read(tokens.flatten(0, 1))
        places = self.scorer.trunk(images)
        text = {name: tensor.unflatten(0, tokens.shape[:2]) for name, tensor in captions.items()}
        normed = F.layer_norm(places, (WIDTH,))
        return self.scorer.match(places, text), self.shapes(normed), self.colors(normed)


def grounding_loss(shapes: torch.Tensor, colors: torch.Tensor, batch: Examples) -> torch.Tensor:
    """Cross entropy of what stands at each place."""
    return F.cross_entropy(shapes.flatten(0, 1), batch.shapes.flatten()) + F.cross_entropy(
        colors.flatten(0, 1), batch.colors.flatten()
    )


def caption_loss(logits: torch.Tensor) -> torch.Tensor:
    """How wrong a scorer is about an image's captions, logits [B, K] of which the first and the last two are true.

    Cross entropy of each true caption among the wrong ones, and of each caption's own truth.
    """
    wrong = logits[:, 1:-2]
    first = torch.zeros(len(logits), dtype=torch.long)
    choices = [F.cross_entropy(torch.cat([logits[:, [true]], wrong], dim=1), first) for true in (0, -2, -1)]
    truth = torch.zeros_like(logits)
    truth[:, [0, -2, -1]] = 1
    return sum(choices, F.binary_cross_entropy_with_logits(logits, truth)) / 2


def preference_loss(clean: torch.Tensor, malformed: torch.Tensor) -> torch.Tensor:
    """Bradley and Terry's, as ImageReward is trained: logits [B] of images and of their malformed counterparts."""
    return -F.logsigmoid(clean - malformed).mean()


def _train(
    name: str, scorer: Scorer, settings: LoopSettings, autoencoder: AutoencoderDC, folder: Path
) -> Scorer:
    model = Grounded(scorer)

    def loss_of(batch: Examples) -> tuple[torch.Tensor, dict[str, float]]:
        images = disturbed(batch.images, autoencoder)
        logits, shapes, colors = model(images, batch.tokens)
        grounding = grounding_loss(shapes, colors, batch)
        worse = model(malformed(images[::2]), batch.tokens[::2, :1])[0]
        preference = preference_loss(logits[::2, 0], worse[:, 0])
        right = (logits[:, 0] > logits[:, 1:-2].amax(1)).float().mean()
        logs = {
            "first": float(right),
            "grounding": float(grounding.detach()),
            "preference": float(preference.detach()),
        }
        return caption_loss(logits) + 0.5 * grounding + 0.5 * preference, logs

    return train(
        name, model, loss_of, partial(example_batches, settings.seed, settings.batch), settings, folder
    ).scorer


def train_clip(autoencoder: AutoencoderDC, folder: Path) -> Scorer:
    """Train and return the averaged dual encoder."""
    torch.manual_seed(CLIP.seed)
    return _train("clip", DualScorer(), CLIP, autoencoder, folder)


def train_match(autoencoder: AutoencoderDC, folder: Path) -> Scorer:
    """Train and return the averaged cross-attention scorer."""
    torch.manual_seed(MATCH.seed)
    return _train("match", CrossScorer(), MATCH, autoencoder, folder)
