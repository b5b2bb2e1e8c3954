"""What a method is: a way to get an image from (generator, prompt, x0). And `base` and `hypernoise`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch

from hypernoise.errors import HnError
from hypernoise.experiments.noise import candidate_noise, step_noise
from hypernoise.files import sha256_of
from hypernoise.noise.adapter_files import adapter_folder, refuse_other_training

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hypernoise.generators.protocol import Encoded, Generator
    from hypernoise.noise.hypernetwork import NoiseHypernetwork
    from hypernoise.rewards.ensemble import Ensemble, Texts


@dataclass(frozen=True)
class Sample:
    """One image to make: a prompt by its index in the benchmark, and a seed."""

    prompt_index: int
    seed: int


@dataclass(frozen=True)
class Batch:
    """Samples that are worked on together, with all that depends on their prompts alone already computed."""

    samples: Sequence[Sample]
    condition: Encoded
    texts: Texts
    generator: Generator
    reward: Ensemble
    steps: int
    device: torch.device
    prompts: Sequence[str] = field(default=(), kw_only=True)
    """The samples' prompts, for methods that put them into other words."""

    def noise(self, candidate: int = 0) -> torch.Tensor:
        """Initial noise [B, *latent_shape] of every sample's n-th candidate; candidate 0 is x0."""
        shape = self.generator.latent_shape
        rows = [candidate_noise(shape, s.seed, s.prompt_index, candidate) for s in self.samples]
        return torch.stack(rows).to(self.device)

    def generate(self, noise: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1]; the sampler's own noise is the same however often it is called."""

        def steps_noise(step: int) -> torch.Tensor:
            rows = [step_noise(noise.shape[1:], s.seed, s.prompt_index, step) for s in self.samples]
            return torch.stack(rows).to(noise)

        return self.generator.generate(noise, self.condition, self.steps, steps_noise)


@dataclass(frozen=True)
class Spent:
    """What one sample cost: calls of the denoiser (NFE), evaluations and gradients of the reward ensemble.

    And of a language model: calls, tokens (asked and answered), and seconds, which vary where all else does not.
    """

    nfe: int
    reward_forwards: int = 0
    reward_backwards: int = 0
    llm_calls: int = 0
    llm_tokens: int = 0
    llm_seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Images [B, 3, H, W] in [0, 1], and what each of them cost: all the same, or one after the other.

    `details` is what the method has to say of each, as plain data; `failures` in it are sentences of what went wrong
    on the way to an image, such as "round 3: timeout: no answer within 120 s".
    """

    images: torch.Tensor
    spent: Spent | Sequence[Spent]
    details: Sequence[Mapping[str, Any]] = ()

    @property
    def nfe(self) -> float:
        """Calls of the denoiser that an image took, the mean where they differ."""
        each = [self.spent] if isinstance(self.spent, Spent) else self.spent
        return sum(spent.nfe for spent in each) / len(each)

    def made(self, row: int) -> dict[str, Any]:
        """How the image of a row was made: its costs and, where there are, its details."""
        spent = self.spent if isinstance(self.spent, Spent) else self.spent[row]
        return asdict(spent) | ({"method_details": self.details[row]} if self.details else {})


class Method(Protocol):
    """A way to get an image from (generator, prompt, x0)."""

    name: ClassVar[str]
    presets: ClassVar[Mapping[str, Any]]
    """Settings by name; the first is the default and follows the paper where it has the method."""
    budget: ClassVar[str | None] = None
    """The setting that says how many images a sample may try, where there is one."""
    steers: ClassVar[bool] = False
    """Whether it needs the generator's gradients, or an adapter on its denoiser."""

    settings: Any

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def identity(self, model: type[Generator]) -> dict[str, Any]:
        """What, besides its settings, tells its run on a model from others, such as hashes; nothing by default."""
        del model
        return {}

    def attach(self, generator: Generator) -> int:
        """Get ready for the one generator to be used; returns how many weights the method adds, none by default."""
        del generator
        return 0

    def __call__(self, batch: Batch) -> Outcome:
        """Make one image for each sample of the batch, after `attach`."""
        ...


def better(scores: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
    """Which of B samples improve on the best reward so far; any number improves on one that is not a number."""
    return (scores > best) | (best.isnan() & ~scores.isnan())


@dataclass(frozen=True)
class BaseSettings:
    """The base method has nothing to set."""


class Base(Method):
    """The generator as it is: x0 to image."""

    name: ClassVar[str] = "base"
    presets: ClassVar[Mapping[str, BaseSettings]] = {"paper": BaseSettings()}

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outcome:
        """Generate from x0."""
        return Outcome(batch.generate(batch.noise()), Spent(nfe=batch.steps))


@dataclass(frozen=True)
class AdapterSettings:
    """The trained adapter, by its folder or its id on the hub; empty for the one that comes with the model.

    `merge` adds its branches to copies of the denoiser's weights: less time, as much memory as those take again, and
    images that differ by rounding.
    """

    adapter: str = ""
    merge: bool = False

    def folder(self, model: type[Generator], kind: str, method: str | None = None) -> Path:
        """Where an adapter for a model lies; one on the hub is downloaded where it is missing.

        `kind` is the method that it was trained for, `method` the one that has these settings, where that is another.

        Raises:
            HnError: if none was given and the model comes with none, it cannot be had, or was trained otherwise.
        """
        named = self.adapter or model.adapters.get(kind)
        if named is None:
            raise HnError(
                f"No {kind} adapter comes with {model.name}: train one with `hn train` and give its folder "
                f"by --set {method or kind}.adapter=FOLDER."
            )
        folder = adapter_folder(named)
        refuse_other_training(folder, kind)
        return folder


def adapter_identity(folder: Path) -> dict[str, Any]:
    """An adapter's rank and the sha256 of its files, for `Method.identity`."""
    from hypernoise.noise.adapters import read_config  # noqa: PLC0415

    files = sorted(folder.glob("adapter_*"))
    return {"lora_rank": read_config(folder)["r"], **{path.name: sha256_of(path) for path in files}}


class HyperNoise(Method):
    """The image of modulated noise x0 + f_φ(x0), equation 6; f_φ is asked once, however many steps follow."""

    name: ClassVar[str] = "hypernoise"
    presets: ClassVar[Mapping[str, AdapterSettings]] = {"paper": AdapterSettings()}
    steers: ClassVar[bool] = True

    settings: AdapterSettings
    _network: NoiseHypernetwork

    def _folder(self, model: type[Generator]) -> Path:
        return self.settings.folder(model, HyperNoise.name, self.name)

    def identity(self, model: type[Generator]) -> dict[str, Any]:
        """The adapter's rank and files."""
        return adapter_identity(self._folder(model))

    def attach(self, generator: Generator) -> int:
        """Load the adapter onto the generator's denoiser, once."""
        from hypernoise.noise.hypernetwork import NoiseHypernetwork  # noqa: PLC0415

        if not hasattr(self, "_network"):
            self._network = NoiseHypernetwork.load(generator, self._folder(type(generator)))
            if self.settings.merge:
                self._network.merge()
        return self._network.adapter.size

    def modulated(self, batch: Batch, candidate: int = 0) -> torch.Tensor:
        """Modulated noise [B, *latent_shape] of every sample's n-th candidate; candidate 0 is that of x0."""
        noise = batch.noise(candidate)
        return noise + self._network(noise, batch.condition)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outcome:
        """Modulate x0, then generate; NFE as the paper counts it, steps + 1."""
        return Outcome(batch.generate(self.modulated(batch)), Spent(nfe=batch.steps + 1))
