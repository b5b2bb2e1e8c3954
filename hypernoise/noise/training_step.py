"""One optimizer step of an untrained adapter, as `hn train` takes it, to be timed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypernoise.noise.optimization import Optimization, build_steering
from hypernoise.noise.samples import Drawing
from hypernoise.noise.training import accelerator_of, preset_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.generators.protocol import Generator
    from hypernoise.rewards.ensemble import Ensemble


class TrainingStep:
    """Steps with the model's own settings but for the batch, one a call; `kind` is "hypernoise" or "lora"."""

    def __init__(
        self, kind: str, generator: Generator, reward: Ensemble, prompts: Sequence[str], batch: int
    ) -> None:
        settings = replace(preset_of(kind, generator.name), batch=batch, accumulation=1)
        steering = build_steering(kind, generator, settings)
        self.optimization = Optimization(
            steering, reward, settings, accelerator_of(settings, generator.device)
        )
        self.drawing = Drawing(generator, reward, prompts, settings)

    def __call__(self) -> None:
        """Draw a batch of samples and take a step."""
        self.optimization.steering.adapter.trainable()  # which switching another adapter ends
        self.optimization.update(self.drawing.micro_batches(self.optimization.step, 0, 1))
