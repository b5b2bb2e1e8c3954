"""How an adapter does during its training, on prompts that it is not trained on: rewards, and images to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from hypernoise.experiments.noise import initial_noise
from hypernoise.pixels import to_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.generators.protocol import Generator
    from hypernoise.noise.steering import Steering
    from hypernoise.rewards.ensemble import Ensemble

HELD_OUT = 24
"""Prompts at the end of a prompt set that are evaluated on instead of being trained on."""

ROW = 12
"""Images in a row of the grid."""


class Evaluation:
    """Held-out prompts with one x0 each; each reward's mean for the base images and for the steered ones."""

    def __init__(self, generator: Generator, reward: Ensemble, prompts: Sequence[str]) -> None:
        self.generator, self.reward = generator, reward
        x0 = [initial_noise(generator.latent_shape, 0, index) for index in range(len(prompts))]
        self.x0 = torch.stack(x0).to(generator.device)
        self.condition, self.texts = generator.encode(prompts), reward.encode(prompts)
        with torch.no_grad():
            self.base = generator.generate(self.x0, self.condition)

    def _means(self, images: torch.Tensor) -> dict[str, float]:
        return {name: float(part.mean()) for name, part in self.reward.parts(images, self.texts).items()}

    @torch.no_grad()
    def __call__(self, steering: Steering) -> tuple[dict[str, float], Image.Image]:
        """Means over the prompts, and a grid of base images, each row of them above the steered ones."""
        images, delta = steering(self.x0, self.condition)
        means = {f"held_out/{name}": value for name, value in self._means(images).items()}
        means |= {f"held_out_base/{name}": value for name, value in self._means(self.base).items()}
        means["held_out/delta_norm"] = float(delta.flatten(1).norm(dim=1).mean())
        return means, _grid(to_pixels(self.base), to_pixels(images))


def _grid(base: np.ndarray, steered: np.ndarray) -> Image.Image:
    rows = []
    for first in range(0, len(base), ROW):
        for images in (base[first : first + ROW], steered[first : first + ROW]):
            blank = np.full((ROW - len(images), *images.shape[1:]), 255, np.uint8)
            rows.append(np.concatenate([*images, *blank], axis=1))
    return Image.fromarray(np.concatenate(rows, axis=0))
