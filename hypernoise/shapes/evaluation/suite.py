"""The generator's images for the evaluation suite, judged: many candidates a prompt, none from training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from hypernoise.experiments.bench import find_benchmark
from hypernoise.experiments.noise import candidate_noise, step_noise
from hypernoise.experiments.statistics import Scores
from hypernoise.pixels import to_pixels

if TYPE_CHECKING:
    from hypernoise.experiments.benchmark import Prompt
    from hypernoise.generators.shapes import ShapesGenerator


@dataclass(frozen=True)
class Drawn:
    """Images uint8 [P, 32, 32, 3] of the suite's P prompts from one noise each, and whether each is right, [P]."""

    images: np.ndarray
    right: np.ndarray


class Suite:
    """The 300 prompts, and the generator that draws them."""

    def __init__(self, generator: ShapesGenerator) -> None:
        benchmark = find_benchmark("geneval", "shapes")
        self.generator = generator
        self.prompts: list[Prompt] = benchmark.prompts("shapes")
        self.judge = benchmark.judge("shapes", generator.device)
        self.condition = generator.encode([prompt.text for prompt in self.prompts])

    @torch.no_grad()
    def draw(self, seed: int, candidate: int = 0, steps: int = 1) -> Drawn:
        """One judged image a prompt, from the noise that `hn bench` gives the same seed and candidate."""
        shape = self.generator.latent_shape
        noise = [candidate_noise(shape, seed, prompt.index, candidate) for prompt in self.prompts]

        def noise_of(step: int) -> torch.Tensor:
            return torch.stack([step_noise(shape, seed, prompt.index, step) for prompt in self.prompts])

        images = to_pixels(self.generator.generate(torch.stack(noise), self.condition, steps, noise_of))
        return Drawn(
            images, np.array([found.score for found in self.judge(list(images), self.prompts)]) >= 0.5
        )

    def scores(self, right: list[np.ndarray]) -> Scores:
        """Verdicts [P] of several seeds as columns for the statistics."""
        rows = [
            (prompt.task, prompt.index, seed, float(verdicts[prompt.index]))
            for seed, verdicts in enumerate(right)
            for prompt in self.prompts
        ]
        return Scores(*map(list, zip(*rows, strict=True)))
