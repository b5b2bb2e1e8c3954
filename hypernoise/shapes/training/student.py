"""Distillation of the teacher to one step.

The teacher's guided ODE is solved from many noises; the student, which starts as a copy of the teacher, learns to
jump from any point of a trajectory to its end, most often from the noise. That is SANA-Sprint's consistency
function, so that one and several steps both work.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track

from hypernoise.pixels import to_images, to_pixels
from hypernoise.shapes.networks import LATENT_SHAPE
from hypernoise.shapes.training.autoencoder import reconstruction_loss
from hypernoise.shapes.training.data import random_text, trimmed
from hypernoise.shapes.training.loop import LoopSettings, train
from hypernoise.shapes.vocabulary import PAD, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusers import AutoencoderDC

    from hypernoise.shapes.training.teacher import Denoiser

SETTINGS = LoopSettings(steps=2000, batch=128, seed=3, adam_rate=5e-4, muon_rate=0.006, ema=0.995)

PAIRS = 32_768
SOLVER_STEPS = 8
GUIDANCE = 3.0
GUIDED_BELOW = 0.9
"""Guidance is left out near pure noise, where it would extrapolate to fewer objects."""

STUDENT_GUIDANCE = 4.5
"""What the student is told, as SANA-Sprint is; the guidance itself is baked into the trajectories."""

FROM_NOISE = 0.75
"""Part of a batch that starts from pure noise, as one-step sampling does; the rest starts along the way."""


DECODED = 48
"""How many of a batch are also compared as images: decoding costs more than the student does."""


@dataclass(frozen=True)
class Trajectories:
    """Trajectories of the teacher.

    Noise, a point on the way with its time, and the end, float32 [N, C, H, W]; tokens int64 [N, T]; the end's image,
    uint8 [N, H, W, 3].
    """

    noise: torch.Tensor
    middle: torch.Tensor
    times: torch.Tensor
    ends: torch.Tensor
    tokens: torch.Tensor
    pixels: np.ndarray

    def batches(self, seed: int, size: int, start: int = 0) -> Iterator[tuple[torch.Tensor, ...]]:
        """Endless random batches (x_s, s, end, tokens, image); batch number n depends on (seed, n) alone."""
        number = start
        while True:
            rng = np.random.default_rng((seed, number))
            rows = torch.from_numpy(rng.integers(len(self.tokens), size=size))
            first = torch.from_numpy(rng.random(size) < FROM_NOISE)
            points = torch.where(first[:, None, None, None], self.noise[rows], self.middle[rows])
            times = self.times[rows].masked_fill(first, 1.0)
            yield points, times, self.ends[rows], self.tokens[rows], to_images(self.pixels[rows[:DECODED]])
            number += 1


def guided_velocity(
    teacher: Denoiser, x: torch.Tensor, s: float, text: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Classifier-free guidance; `text` holds the captions' encodings and then as many of the empty caption."""
    size = x.shape[0]
    if s > GUIDED_BELOW:
        return teacher.velocity(x, x.new_full((size,), s), (text[0][:size], text[1][:size]))
    both = teacher.velocity(torch.cat([x, x]), x.new_full((2 * size,), s), text)
    conditional, empty = both.chunk(2)
    return empty + GUIDANCE * (conditional - empty)


@torch.no_grad()
def solve(teacher: Denoiser, noise: torch.Tensor, tokens: torch.Tensor) -> list[torch.Tensor]:
    """The trajectory of the guided ODE by Euler's method, from the noise to the end, SOLVER_STEPS + 1 points."""
    text = teacher.text(torch.cat([tokens, torch.full_like(tokens, PAD)]))
    times = torch.linspace(1, 0, SOLVER_STEPS + 1).tolist()
    points = [noise]
    for now, after in pairwise(times):
        slope = guided_velocity(teacher, points[-1], now, text)
        points.append(points[-1] + (after - now) * slope)
    return points


def _decoded(autoencoder: AutoencoderDC, latents: torch.Tensor) -> torch.Tensor:
    """Images [B, 3, H, W] in [-1, 1] of latents of unit scale."""
    images: torch.Tensor = autoencoder.decode(latents / autoencoder.config.scaling_factor).sample
    return images


def draw_trajectories(teacher: Denoiser, autoencoder: AutoencoderDC, size: int, seed: int) -> Trajectories:
    """Solve `size` (a multiple of 128) trajectories of random training captions."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    columns: list[tuple[torch.Tensor, ...]] = []
    pixels = []
    for _ in track(range(size // 128), description="solving trajectories"):
        tokens = torch.from_numpy(tokenize([random_text(rng) for _ in range(128)]))
        points = torch.stack(
            solve(teacher, torch.randn(128, *LATENT_SHAPE, generator=generator), trimmed(tokens))
        )
        chosen = torch.from_numpy(rng.integers(1, SOLVER_STEPS, 128))
        middle = points[chosen, torch.arange(128)]
        columns.append((points[0], middle, 1 - chosen / SOLVER_STEPS, points[-1], tokens))
        with torch.no_grad():
            pixels.append(to_pixels(_decoded(autoencoder, points[-1]) / 2 + 0.5))
    noise, middle, times, ends, tokens = (torch.cat(column) for column in zip(*columns, strict=True))
    return Trajectories(noise, middle, times.float(), ends, tokens, np.concatenate(pixels))


def jump(
    student: Denoiser, points: torch.Tensor, times: torch.Tensor, text: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """The student's clean latents for x_s at times [B]: its consistency function."""
    return points - times[:, None, None, None] * student.velocity(points, times, text, STUDENT_GUIDANCE)


def train_student(teacher: Denoiser, autoencoder: AutoencoderDC, folder: Path) -> Denoiser:
    """Distill and return the averaged student; the text encoder stays the teacher's."""
    student = copy.deepcopy(teacher).requires_grad_(requires_grad=True)
    student.text.requires_grad_(requires_grad=False)

    def batches_from(start: int) -> Iterator[tuple[torch.Tensor, ...]]:
        trajectories = draw_trajectories(teacher.eval(), autoencoder, PAIRS, SETTINGS.seed)
        return trajectories.batches(SETTINGS.seed, SETTINGS.batch, start)

    def loss_of(batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, dict[str, float]]:
        points, times, ends, tokens, images = batch
        jumped = jump(student, points, times, student.text(trimmed(tokens)))
        latent = F.huber_loss(jumped, ends, delta=0.5)
        image = reconstruction_loss(_decoded(autoencoder, jumped[: len(images)]), images * 2 - 1)
        return latent + 0.5 * image, {"latent": float(latent.detach()), "image": float(image.detach())}

    return train("student", student, loss_of, batches_from, SETTINGS, folder)
