"""Examples for the rewards: scenes with their captions and near misses, as drawn and as a generator might show them.

Every example is a scene with its caption and a second scene that shows a near miss of that caption; both images are
read with both captions, with further wrong ones, and with short ones about a part of the scene: an object that is
there and a mixture of two; how two objects stand, or in which half of the image one does, and the opposite. From the
short ones binding is learned, which the full ones alone do not teach in reasonable time. Many images pass through the
autoencoder with noisy latents, and some are blurred or noisy, so that a reward also knows pictures like the
generator's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.transforms.functional import gaussian_blur

from hypernoise.pixels import to_images
from hypernoise.shapes.captions import (
    NEGATIVES,
    OPPOSITE,
    Description,
    Phrase,
    holds,
    holds_by,
    negative,
    scene_for,
)
from hypernoise.shapes.scenes import SIZE, Scene, render
from hypernoise.shapes.scorers import GRID
from hypernoise.shapes.suite import HELD_OUT_PAIRS, may_train
from hypernoise.shapes.training.data import TASK_WEIGHTS, numbered, random_caption, trimmed
from hypernoise.shapes.vocabulary import COLORS, FRAMES, RELATIONS, SHAPES, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffusers import AutoencoderDC

WRONG_CAPTIONS = 3

SWAPS = ("swapped colors", "swapped positions")
"""Near misses that keep every word of the true caption: the hardest, and drawn most often."""

DRAWN_NEGATIVES = tuple(kind for kind in NEGATIVES if kind != "missing object")
"""Near misses that are drawn as a second image: not those that only add an object to a still true picture."""

LONG_TASKS = ("scene", "arrangement")
SHORT_TASKS = tuple(task for task in TASK_WEIGHTS if task not in LONG_TASKS)
"""Kept in batches of their own, so that short captions need not be padded to long ones."""


@dataclass(frozen=True)
class Examples:
    """Images, captions and what stands where.

    Images float32 [B, 3, 32, 32]; tokens int64 [B, K, T] of K captions each, of which the first, the scene's own, and
    the last two, about a part of it, are true; shapes and colors int64 [B, 64], the class in each cell of 4x4 pixels,
    0 for the ground.
    """

    images: torch.Tensor
    tokens: torch.Tensor
    shapes: torch.Tensor
    colors: torch.Tensor


def cells(scene: Scene) -> np.ndarray:
    """Shape and color at the center of each cell, int64 [2, 64]: 0 is the ground, 1 the first shape or color."""
    rows, columns = (np.mgrid[0:GRID, 0:GRID] + 0.5) * (SIZE / GRID)
    found = np.zeros((2, GRID, GRID), dtype=np.int64)
    for thing in scene.objects:
        inside = np.hypot(columns - thing.x, rows - thing.y) < thing.radius
        found[:, inside] = [[SHAPES.index(thing.shape) + 1], [COLORS.index(thing.color) + 1]]
    return found.reshape(2, -1)


def _near_miss(
    rng: np.random.Generator, description: Description, frame: str, kinds: Sequence[str] = NEGATIVES
) -> Description:
    """A wrong caption that training may use in this frame, where possible more often a swap than anything else."""
    while True:
        kind = str(rng.choice(SWAPS if rng.random() < 0.5 else kinds))
        wrong = negative(rng, description, kind)
        if wrong is None:
            wrong = negative(rng, description, str(rng.choice(kinds)))
        if wrong is not None and may_train(wrong, frame):
            return wrong


def _one_object(rng: np.random.Generator, scene: Scene) -> tuple[Description, Description]:
    """A colored object that is not there, of a shape and a color that are wherever possible, and one that is there."""
    seen = Counter((thing.shape, thing.color) for thing in scene.objects)
    shape, color = sorted(seen)[rng.integers(len(seen))]
    mixed = {(shape, other) for _, other in seen} | {(other, color) for other, _ in seen}
    wrong = sorted(mixed - set(seen) - HELD_OUT_PAIRS)
    if not wrong:
        wrong = sorted({(shape, other) for other in COLORS} - set(seen) - HELD_OUT_PAIRS)
    false = Description((Phrase(*wrong[rng.integers(len(wrong))]),))
    return false, Description((Phrase(shape, color, seen[shape, color]),))


def _two_objects(rng: np.random.Generator, scene: Scene) -> tuple[Description, Description] | None:
    """The opposite of how two objects stand, and how they stand; nothing where none stand in a clear relation."""
    counts = Counter(thing.shape for thing in scene.objects)
    alone = [thing for thing in scene.objects if counts[thing.shape] == 1]
    related = [
        (a, relation, b)
        for a, b in permutations(alone, 2)
        for relation in RELATIONS
        if holds(relation, (a.x, a.y), (b.x, b.y))
    ]
    if not related:
        return None
    a, relation, b = related[rng.integers(len(related))]
    colored = rng.random() < 0.5
    phrases = tuple(Phrase(thing.shape, thing.color if colored else None) for thing in (a, b))
    return Description(phrases, (OPPOSITE[relation],)), Description(phrases, (relation,))


def _half(rng: np.random.Generator, scene: Scene) -> tuple[str, str] | None:
    """In which half an object does not stand and does, such as "a star right" and "a star left"; it may be unclear."""
    counts = Counter(thing.shape for thing in scene.objects)
    clear = [
        (thing, relation)
        for thing in scene.objects
        for relation in RELATIONS
        if counts[thing.shape] == 1
        and holds_by(relation, (thing.x, thing.y), (SIZE / 2, SIZE / 2)) > SIZE / 8
    ]
    if not clear:
        return None
    thing, relation = clear[rng.integers(len(clear))]
    words = Phrase(thing.shape, thing.color if rng.random() < 0.5 else None).text()
    return f"{words} {OPPOSITE[relation].split()[0]}", f"{words} {relation.split()[0]}"


def _places(rng: np.random.Generator, scene: Scene, frame: str) -> tuple[str, str] | None:
    """A wrong and a true caption about where something stands, without its frame, if there is one to train on."""
    half, two = _half(rng, scene), _two_objects(rng, scene)
    if two is None or not all(may_train(description, frame) for description in two):
        return half
    if half is not None and rng.random() < 0.5:
        return half
    return two[0].content, two[1].content


def _short_captions(rng: np.random.Generator, scene: Scene) -> list[str]:
    """Two wrong and then two true captions about a part of the scene.

    The suite's own frame is not for them: training may see the colors task's content in other frames alone.
    """
    frame = str(rng.choice(FRAMES[1:]))

    def one_object() -> tuple[str, str]:
        wrong, true = _one_object(rng, scene)
        return wrong.content, true.content

    first = one_object()
    second = _places(rng, scene, frame) or one_object()
    return [f"{frame} {pair[side]}" for side in (0, 1) for pair in (first, second)]


def _example(rng: np.random.Generator, tasks: Sequence[str]) -> tuple[list[Scene], list[list[str]]]:
    """Two scenes and, for each, its captions; the first wrong one fits the other scene."""
    description, frame = random_caption(rng, tasks)
    miss = _near_miss(rng, description, frame, DRAWN_NEGATIVES)
    scenes, captions = [], []
    for shown, other in ((description, miss), (miss, description)):
        scenes.append(scene_for(rng, shown, HELD_OUT_PAIRS))
        wrong = [_near_miss(rng, shown, frame) for _ in range(WRONG_CAPTIONS - 1)]
        full = [d.text(frame) for d in (shown, other, *wrong)]
        captions.append(full + _short_captions(rng, scenes[-1]))
    return scenes, captions


def draw_examples(rng: np.random.Generator, size: int) -> Examples:
    """`size` pairs of images, 2 × `size` in all; one batch in ten is of the longer captions."""
    tasks = LONG_TASKS if rng.random() < 0.1 else SHORT_TASKS
    drawn = [_example(rng, tasks) for _ in range(size)]
    scenes = [scene for pair, _ in drawn for scene in pair]
    captions = [texts for _, pair in drawn for texts in pair]
    tokens = trimmed(torch.from_numpy(tokenize([caption for texts in captions for caption in texts])))
    what = torch.from_numpy(np.stack([cells(scene) for scene in scenes]))
    return Examples(
        to_images(np.stack([render(scene) for scene in scenes])),
        tokens.view(len(scenes), len(captions[0]), -1),
        what[:, 0],
        what[:, 1],
    )


def example_batches(seed: int, size: int, start: int = 0) -> Iterator[Examples]:
    """Endless batches from number `start` on."""
    return numbered(partial(draw_examples, size=size), seed, start)


@torch.no_grad()
def redrawn(images: torch.Tensor, autoencoder: AutoencoderDC, noise: torch.Tensor) -> torch.Tensor:
    """Images decoded again from their latents with noise of standard deviations [B] added."""
    latents = autoencoder.encode(images * 2 - 1).latent
    noisy = latents + noise[:, None, None, None] * torch.randn_like(latents)
    decoded: torch.Tensor = (autoencoder.decode(noisy).sample / 2 + 0.5).clamp(0, 1)
    return decoded


@torch.no_grad()
def disturbed(images: torch.Tensor, autoencoder: AutoencoderDC) -> torch.Tensor:
    """The images, half of them redrawn by the autoencoder from noisy latents, some blurred, all slightly noisy."""
    size = images.shape[0]
    images = images.clone()
    chosen = torch.rand(size) < 0.5
    if chosen.any():
        images[chosen] = redrawn(images[chosen], autoencoder, 0.7 * torch.rand(int(chosen.sum())))
    blurred = torch.rand(size) < 0.25
    if blurred.any():
        images[blurred] = gaussian_blur(images[blurred], [5, 5], [0.3 + 0.7 * float(torch.rand(()))] * 2)
    amount = 0.08 * torch.rand(size, 1, 1, 1)
    return (images + amount * torch.randn_like(images)).clamp(0, 1)


def _smooth_noise(size: int, channels: int, cells: int) -> torch.Tensor:
    """Standard normal noise [size, channels, SIZE, SIZE], smooth over an image's `cells` x `cells` parts."""
    noise = torch.randn(size, channels, cells, cells)
    return F.interpolate(noise, size=(SIZE, SIZE), mode="bicubic", align_corners=True)


def malformed(images: torch.Tensor) -> torch.Tensor:
    """The images [B, 3, H, W] warped by 1 to 2.5 pixels, in half of them with another color bleeding in.

    So a generator's own failures look: outlines that are no shape's, and objects of two colors. The ground is
    grey, which the exchange of color channels leaves as it is.
    """
    size = images.shape[0]
    pixels = (1 + 1.5 * torch.rand(size, 1, 1, 1)) * _smooth_noise(size, 2, 5).movedim(1, 3)
    still = F.affine_grid(torch.eye(2, 3).expand(size, 2, 3), list(images.shape), align_corners=False)
    warped = F.grid_sample(images, still + pixels * 2 / SIZE, padding_mode="border", align_corners=False)
    bleeding = torch.sigmoid(4 * _smooth_noise(size, 1, 4)) * (torch.rand(size, 1, 1, 1) < 0.5)
    return warped + bleeding * (warped.roll(1, dims=1) - warped)
