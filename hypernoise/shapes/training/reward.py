"""Training of the reward: true captions against near misses, and true images against near misses.

Every example is a scene with its caption and a second scene that shows a near miss of that caption; both images are
read with both captions and with further wrong ones. Half of the images pass through the autoencoder with noisy
latents, and some are blurred or noisy, so that the reward also knows pictures like the generator's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.transforms.functional import gaussian_blur

from hypernoise.pixels import to_images
from hypernoise.shapes.captions import NEGATIVES, Description, negative, scene_for
from hypernoise.shapes.networks import MatchScorer
from hypernoise.shapes.scenes import render
from hypernoise.shapes.suite import HELD_OUT_PAIRS, may_train
from hypernoise.shapes.training.data import numbered, random_caption
from hypernoise.shapes.training.loop import LoopSettings, train
from hypernoise.shapes.vocabulary import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from diffusers import AutoencoderDC

SETTINGS = LoopSettings(steps=1200, batch=32, seed=4, adam_rate=1e-3, muon_rate=0.01, ema=0.997)

WRONG_CAPTIONS = 5

DRAWN_NEGATIVES = tuple(kind for kind in NEGATIVES if kind != "missing object")
"""Near misses that are drawn as a second image: not those that only add an object to a still true picture."""


@dataclass(frozen=True)
class Examples:
    """Images float32 [B, 3, 32, 32], and tokens int64 [B, K, T] of K captions each, only the first of them true."""

    images: torch.Tensor
    tokens: torch.Tensor


def _near_miss(
    rng: np.random.Generator, description: Description, frame: str, kinds: Sequence[str] = NEGATIVES
) -> Description:
    """A wrong caption that training may use in this frame."""
    while True:
        wrong = negative(rng, description, str(rng.choice(kinds)))
        if wrong is not None and may_train(wrong, frame):
            return wrong


def _example(rng: np.random.Generator) -> tuple[list[np.ndarray], list[list[str]]]:
    """Two images and, for each, its true caption followed by wrong ones; the first wrong one fits the other image."""
    description, frame = random_caption(rng)
    miss = _near_miss(rng, description, frame, DRAWN_NEGATIVES)
    images, captions = [], []
    for shown, other in ((description, miss), (miss, description)):
        wrong = [_near_miss(rng, shown, frame) for _ in range(WRONG_CAPTIONS - 1)]
        images.append(render(scene_for(rng, shown, HELD_OUT_PAIRS)))
        captions.append([d.text(frame) for d in (shown, other, *wrong)])
    return images, captions


def draw_examples(rng: np.random.Generator, size: int) -> Examples:
    """`size` image pairs, 2 × `size` images."""
    drawn = [_example(rng) for _ in range(size)]
    pixels = np.stack([image for images, _ in drawn for image in images])
    captions = [texts for _, pair in drawn for texts in pair]
    tokens = tokenize([caption for texts in captions for caption in texts])
    return Examples(
        to_images(pixels),
        torch.from_numpy(tokens).view(len(captions), 1 + WRONG_CAPTIONS, -1),
    )


def example_batches(seed: int, size: int, start: int = 0) -> Iterator[Examples]:
    """Endless batches from number `start` on."""
    return numbered(partial(draw_examples, size=size), seed, start)


@torch.no_grad()
def disturbed(images: torch.Tensor, autoencoder: AutoencoderDC) -> torch.Tensor:
    """The images, half of them redrawn by the autoencoder from noisy latents, some blurred, all slightly noisy."""
    size = images.shape[0]
    images = images.clone()
    redrawn = torch.rand(size) < 0.5
    if redrawn.any():
        latents = autoencoder.encode(images[redrawn] * 2 - 1).latent
        noisy = latents + 0.7 * torch.rand(len(latents), 1, 1, 1) * torch.randn_like(latents)
        images[redrawn] = (autoencoder.decode(noisy).sample / 2 + 0.5).clamp(0, 1)
    blurred = torch.rand(size) < 0.25
    if blurred.any():
        images[blurred] = gaussian_blur(images[blurred], [5, 5], [0.3 + 0.7 * float(torch.rand(()))] * 2)
    amount = 0.08 * torch.rand(size, 1, 1, 1)
    return (images + amount * torch.randn_like(images)).clamp(0, 1)


def train_reward(autoencoder: AutoencoderDC, folder: Path) -> MatchScorer:
    """Train and return the averaged scorer."""
    torch.manual_seed(SETTINGS.seed)
    scorer = MatchScorer()

    def loss_of(batch: Examples) -> tuple[torch.Tensor, dict[str, float]]:
        embeddings, mask = scorer.text(batch.tokens.flatten(0, 1))
        shape = batch.tokens.shape[:2]
        logits = scorer(
            disturbed(batch.images, autoencoder), embeddings.unflatten(0, shape), mask.unflatten(0, shape)
        )
        choice = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
        truth = torch.zeros_like(logits)
        truth[:, 0] = 1
        weight = torch.tensor(float(WRONG_CAPTIONS))
        verdict = F.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight)
        best = float((logits.argmax(1) == 0).float().mean())
        return choice + verdict, {"first": best}

    return train(
        "reward", scorer, loss_of, partial(example_batches, SETTINGS.seed, SETTINGS.batch), SETTINGS, folder
    )
