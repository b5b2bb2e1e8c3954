"""Endless training scenes with captions, drawn anew for every batch; nothing of the evaluation suite among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from rich.progress import track
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from hypernoise.pixels import to_images
from hypernoise.shapes.captions import Description, random_description, scene_for
from hypernoise.shapes.scenes import render
from hypernoise.shapes.suite import HELD_OUT_PAIRS, may_train
from hypernoise.shapes.vocabulary import FRAMES, PAD, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Drawn = TypeVar("Drawn")

TASK_WEIGHTS = {
    "single_object": 1.5,
    "two_object": 2.0,
    "counting": 2.5,
    "colors": 1.0,
    "position": 3.0,
    "color_attr": 2.5,
    "colored_position": 1.5,
    "colored_counting": 1.0,
    "scene": 0.7,
    "arrangement": 0.7,
}
"""How often each kind of caption is drawn: the hard tasks more often."""


@dataclass(frozen=True)
class Batch:
    """Images float32 [B, 3, 32, 32] in [0, 1], tokens int64 [B, T], and what the captions say."""

    images: torch.Tensor
    tokens: torch.Tensor
    descriptions: list[Description]


def random_caption(
    rng: np.random.Generator, tasks: Sequence[str] = tuple(TASK_WEIGHTS)
) -> tuple[Description, str]:
    """A description of some tasks that training may use, and the frame it may use it in."""
    weights = np.array([TASK_WEIGHTS[task] for task in tasks])
    while True:
        description = random_description(rng, str(rng.choice(tasks, p=weights / weights.sum())))
        frame = str(rng.choice(FRAMES, p=[0.55, 0.15, 0.15, 0.15]))
        if may_train(description, frame):
            return description, frame


def random_text(rng: np.random.Generator) -> str:
    """A caption that training may use."""
    description, frame = random_caption(rng)
    return description.text(frame)


def random_batch(rng: np.random.Generator, size: int) -> Batch:
    """`size` training examples."""
    captions = [random_caption(rng) for _ in range(size)]
    scenes = [scene_for(rng, description, HELD_OUT_PAIRS) for description, _ in captions]
    pixels = np.stack([render(scene) for scene in scenes])
    return Batch(
        to_images(pixels),
        torch.from_numpy(tokenize([d.text(frame) for d, frame in captions])),
        [d for d, _ in captions],
    )


class _Numbered(IterableDataset[Drawn]):
    def __init__(self, draw: Callable[[np.random.Generator], Drawn], seed: int, start: int) -> None:
        self.draw, self.seed, self.start = draw, seed, start

    def __iter__(self) -> Iterator[Drawn]:
        worker = get_worker_info()
        number, step = (self.start, 1) if worker is None else (self.start + worker.id, worker.num_workers)
        while True:
            yield self.draw(np.random.default_rng((self.seed, number)))
            number += step


def numbered(
    draw: Callable[[np.random.Generator], Drawn], seed: int, start: int = 0, workers: int = 1
) -> Iterator[Drawn]:
    """Endless batches from number `start` on, drawn in `workers` processes.

    Batch number n depends on (seed, n) alone, so that a resumed training sees what it would have seen. The loader
    has a random generator of its own: opening it anew must not disturb the training's.
    """
    dataset = _Numbered(draw, seed, start)
    return iter(DataLoader(dataset, batch_size=None, num_workers=workers, generator=torch.Generator()))


def batches(seed: int, size: int, start: int = 0, workers: int = 1) -> Iterator[Batch]:
    """Endless training batches from number `start` on."""
    return numbered(partial(random_batch, size=size), seed, start, workers)


def trimmed(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens [B, T] cut to the longest caption among them, at least one."""
    return tokens[:, : max(1, int((tokens != PAD).sum(1).max()))]


@dataclass(frozen=True)
class Pool:
    """Many training examples in memory: latents float32 [N, C, H, W] and tokens int64 [N, T]."""

    latents: torch.Tensor
    tokens: torch.Tensor

    def batches(self, seed: int, size: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Endless random batches (latents, tokens); batch number n depends on (seed, n) alone."""
        number = start
        while True:
            chosen = torch.from_numpy(
                np.random.default_rng((seed, number)).integers(len(self.tokens), size=size)
            )
            yield self.latents[chosen], self.tokens[chosen]
            number += 1


def draw_pool(encode: Callable[[torch.Tensor], torch.Tensor], size: int, seed: int) -> Pool:
    """A pool of `size` (a multiple of 512) freshly drawn examples, their images encoded to latents."""
    latents, tokens = [], []
    loader = batches(seed, 512, workers=2)
    for _ in track(range(size // 512), description="drawing scenes"):
        batch = next(loader)
        latents.append(encode(batch.images))
        tokens.append(batch.tokens)
    return Pool(torch.cat(latents), torch.cat(tokens))
