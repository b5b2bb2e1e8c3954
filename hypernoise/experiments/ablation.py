"""The structure of published loops, to time ours against: one sample at a time, its text read again at every call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from hypernoise.rewards.ensemble import Ensemble

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from hypernoise.generators.protocol import Encoded, Generator, StepNoise
    from hypernoise.methods import Batch, Method, Outcome
    from hypernoise.rewards.ensemble import Texts


class RereadingGenerator:
    """A generator that encodes its prompts at every call."""

    def __init__(self, generator: Generator, prompts: Sequence[str]) -> None:
        self._generator, self._prompts = generator, prompts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def generate(
        self, x0: torch.Tensor, _: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """As the generator's, the prompts read first."""
        return self._generator.generate(x0, self._generator.encode(self._prompts), steps, step_noise)


class RereadingEnsemble(Ensemble):
    """An ensemble that encodes its prompts at every call, and reads every value back from the device."""

    def __init__(self, ensemble: Ensemble, prompts: Sequence[str]) -> None:
        super().__init__([(reward, ensemble.weights[name]) for name, reward in ensemble.rewards.items()])
        self._prompts = prompts

    def parts(self, images: torch.Tensor, texts: Texts) -> dict[str, torch.Tensor]:
        """As the ensemble's, the prompts read first."""
        del texts
        found = super().parts(images, self.encode(self._prompts))
        for part in found.values():
            part.tolist()
        return found


def as_published(method: Method, batches: Sequence[Batch], prompts: Sequence[str]) -> list[Outcome]:
    """The method on batches of one sample each, which are for these prompts."""
    return [
        method(
            replace(
                batch,
                generator=cast("Generator", RereadingGenerator(batch.generator, [prompt])),
                reward=RereadingEnsemble(batch.reward, [prompt]),
            )
        )
        for batch, prompt in zip(batches, prompts, strict=True)
    ]
