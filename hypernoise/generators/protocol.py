"""What every generator offers, whatever its architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    import torch

StepNoise = Callable[[int], "torch.Tensor"]
"""Noise [B, C, H, W] that a multi-step sampler adds before its n-th call of the denoiser, n from 1."""


@dataclass(frozen=True)
class Encoded:
    """What depends on prompts alone: named tensors whose first dimension counts the prompts."""

    tensors: Mapping[str, torch.Tensor]

    def take(self, indices: Sequence[int]) -> Encoded:
        """The rows of the prompts at `indices`, which may repeat."""
        rows = list(indices)
        return Encoded({name: tensor[rows] for name, tensor in self.tensors.items()})


class Generator(Protocol):
    """The frozen generator g_θ: text condition + initial noise → image."""

    name: ClassVar[str]
    world: ClassVar[str]
    suites: ClassVar[tuple[str, ...]]
    default_rewards: ClassVar[Mapping[str, float]]
    latent_shape: tuple[int, ...]
    parameters: int

    @classmethod
    def load(cls, device: torch.device) -> Generator:
        """Load the weights, frozen and in evaluation mode."""
        ...

    @classmethod
    def weights(cls) -> dict[str, str]:
        """sha256 of every weight file by its name."""
        ...

    def encode(self, prompts: Sequence[str]) -> Encoded:
        """Encode prompts; the only step that depends on the text alone."""
        ...

    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] from initial noise [B, *latent_shape]; differentiable in x0.

        Calls the denoiser `steps` times.
        """
        ...
