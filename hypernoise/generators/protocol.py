"""What every generator offers, whatever its architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Protocol

from hypernoise.errors import HnError
from hypernoise.sources import hashes

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hypernoise.hub import HubFiles

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


@dataclass(frozen=True)
class Card:
    """Facts about a generator that are known without loading it.

    Attributes:
        sources: What it downloads; empty where its weights come with the package.
        parameters: Weights of its denoiser, in billions.
        resolution: Height and width of its images.
        steps: Calls of the denoiser that an image takes by default.
        gigabytes: Memory that one image takes without gradients, about.
        batch: Samples that are worked on together where the user does not say.
        licence: Of weights that come with the package; sources name their own.
    """

    sources: tuple[HubFiles, ...]
    parameters: float
    resolution: int
    steps: int
    gigabytes: float
    batch: int = 1
    licence: str = "MIT"


@dataclass(frozen=True)
class Memory:
    """What a generator is loaded with where memory is short. Tiling changes images; the others at most round them.

    Attributes:
        checkpointing: Activations of decoding, and of the denoiser where no adapter is active, are computed again in
            the backward pass, not kept. Takes more time, and does nothing without gradients.
        tiling: An image is decoded in overlapping tiles of half its side, blended where they overlap.
        offload: Text encoders wait in the CPU's memory while no text is encoded.
    """

    checkpointing: bool = False
    tiling: bool = False
    offload: bool = False

    @property
    def words(self) -> list[str]:
        """What is chosen, as the user types it."""
        return [field.name for field in fields(self) if getattr(self, field.name)]


AMPLE = Memory()
"""Nothing has to be saved."""


def read_memory(text: str | None) -> Memory:
    """Memory options given as text, such as "checkpointing,tiling".

    Raises:
        HnError: if a word is none of them.
    """
    known = [field.name for field in fields(Memory)]
    words = [word.strip() for word in text.split(",")] if text is not None else []
    if not set(words) <= set(known):
        raise HnError(
            f"--memory is {text!r} but must be some of {', '.join(known)}, such as {','.join(known[:2])}."
        )
    return Memory(**dict.fromkeys(words, True))


def refuse_offload(memory: Memory, device: torch.device) -> None:
    """Let nothing be offloaded from the CPU to itself.

    Raises:
        HnError: if that was asked for.
    """
    if memory.offload and device.type == "cpu":
        raise HnError(
            "--memory offload moves weights from a GPU to the CPU's memory: on a CPU, leave it out."
        )


class Generator(Protocol):
    """The frozen generator g_θ: text condition + initial noise → image.

    One that methods shall steer has `base_only` off, and a `denoiser`, its `last_layer`, and `predict`.
    """

    name: ClassVar[str]
    card: ClassVar[Card]
    suites: ClassVar[tuple[str, ...]] = ("coco",)
    """The prompt sets that it can draw; the first is the default."""
    default_rewards: ClassVar[Mapping[str, float]]
    training_prompts: ClassVar[tuple[str, ...]] = ()
    """The prompt sets that adapters for it are trained on where the user names none."""
    adapters: ClassVar[Mapping[str, str]] = {}
    """The adapter that each method uses where the user names none: a folder, or an id on the hub."""
    base_only: ClassVar[bool] = True
    """Whether it is run as it is, as a model to compare with, without gradients or adapters."""
    last_layer: ClassVar[str]
    """Name of the denoiser's last layer."""
    latent_shape: tuple[int, ...]
    parameters: int
    """How many weights its denoiser has."""
    device: torch.device

    @property
    def denoiser(self) -> nn.Module:
        """The network that adapters are attached to."""
        ...

    @property
    def compilable(self) -> Sequence[nn.Module]:
        """The networks that `--compile` compiles; none where it is not supported."""
        return ()

    @classmethod
    def load(cls, device: torch.device, memory: Memory = AMPLE) -> Generator:
        """Load the weights, frozen and in evaluation mode."""
        ...

    @classmethod
    def weights(cls) -> dict[str, str]:
        """sha256 of every weight file by its name; those of the card's sources, unless told."""
        return hashes(cls.card.sources)

    def encode(self, prompts: Sequence[str]) -> Encoded:
        """Encode prompts; the only step that depends on the text alone."""
        ...

    def predict(self, x0: torch.Tensor, condition: Encoded) -> torch.Tensor:
        """The denoiser's output, as it is, for x0 [B, *latent_shape] at its noisiest timestep; differentiable.

        A noise hypernetwork is this call with an adapter on.

        Raises:
            HnError: if the generator is run as it is.
        """
        del x0, condition
        raise HnError(
            f"{self.name} runs as it is, and is no generator for a noise hypernetwork: choose another."
        )

    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] from initial noise [B, *latent_shape]; differentiable in x0.

        Calls the denoiser `steps` times.
        """
        ...


def refuse_steering(model: type[Generator], wanted: str) -> None:
    """Let nothing steer a generator that is run as it is.

    Raises:
        HnError: if `model` is one.
    """
    if model.base_only:
        raise HnError(
            f"{model.name} runs as it is, without gradients or adapters, so it cannot be used with {wanted}: choose "
            "the method base or best-of-n, or another model."
        )
