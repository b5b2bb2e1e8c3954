"""What each optimization gains: the same work with it and without it, beside each other in interleaved rounds."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from hypernoise.errors import HnError
from hypernoise.experiments.environment import Clock
from hypernoise.experiments.runner import Job, Workbench
from hypernoise.experiments.store import RunStore
from hypernoise.generators.compilation import load_generator
from hypernoise.generators.protocol import Encoded
from hypernoise.noise.training_step import TrainingStep
from hypernoise.pixels import to_pixels
from hypernoise.progress import training_progress
from hypernoise.rewards.ensemble import Ensemble

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from hypernoise.experiments.bench import Plan
    from hypernoise.experiments.benchmark import Prompt
    from hypernoise.generators.protocol import Generator, StepNoise
    from hypernoise.methods import Method, Outcome, Sample
    from hypernoise.rewards.ensemble import Texts

SINGLY = 4
"""Samples that are taken one after another where nothing is done in batches."""

SHORTEST = 0.5
"""Seconds that are timed at least."""

TRAINED = {"hypernoise": "hypernoise", "lora-finetune": "lora"}
"""What `hn train` calls the adapters of methods."""

ADAPTED = ("hypernoise", "lora-finetune", "hypernoise-best-of-n")
ITERATED = ("best-of-n", "hypernoise-best-of-n", "reno")


class Unread(Encoded):
    """Prompts that are encoded when first asked for."""

    def __init__(self, source: Generator, prompts: Sequence[str]) -> None:
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "prompts", list(prompts))

    source: Generator
    prompts: list[str]

    @cached_property
    def tensors(self) -> Any:
        """As the generator encodes them."""
        return self.source.encode(self.prompts).tensors

    def take(self, indices: Sequence[int]) -> Encoded:
        """Some of the prompts, which may repeat, unread too."""
        return Unread(self.source, [self.prompts[index] for index in indices])


class RereadingGenerator:
    """A generator that encodes its prompts, each as often as it occurs, at every call."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def encode(self, prompts: Sequence[str]) -> Encoded:
        """Nothing yet."""
        return Unread(self._generator, prompts)

    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """As the generator's, the prompts read first."""
        if isinstance(condition, Unread):
            condition = self._generator.encode(condition.prompts)
        return self._generator.generate(x0, condition, steps, step_noise)


class RereadingEnsemble(Ensemble):
    """An ensemble that encodes its prompts, each as often as it occurs, at every call."""

    def encode(self, prompts: Sequence[str]) -> Texts:
        """Nothing yet."""
        return {name: Unread(reward, prompts) for name, reward in self.rewards.items()}  # type: ignore[arg-type]

    def parts(self, images: torch.Tensor, texts: Texts) -> dict[str, torch.Tensor]:
        """As the ensemble's, the prompts read first."""
        prompts = {name: text.prompts for name, text in texts.items() if isinstance(text, Unread)}
        return super().parts(images, {name: self.rewards[name].encode(prompts[name]) for name in texts})


def _reading_back(kind: type[Ensemble]) -> type[Ensemble]:
    """Ensembles of a kind that read every value back from the device."""

    class ReadingBack(kind):  # type: ignore[misc, valid-type]
        def parts(self, images: torch.Tensor, texts: Texts) -> dict[str, torch.Tensor]:
            found: dict[str, torch.Tensor] = super().parts(images, texts)
            for part in found.values():
                part.tolist()
            return found

    return ReadingBack


def _members(ensemble: Ensemble) -> list[tuple[Any, float]]:
    return [(reward, ensemble.weights[name]) for name, reward in ensemble.rewards.items()]


@dataclass(frozen=True)
class Setting:
    """A method, the models, and the samples that are worked on together; with the run that they belong to."""

    plan: Plan
    bench: Workbench
    prompts: Sequence[Prompt]
    samples: Sequence[Sample]
    results: Path

    @property
    def name(self) -> str:
        """The method's."""
        return self.plan.settings.method

    def make(self, method: Method | None = None) -> Outcome:
        """Images of all samples, by the method or another."""
        by_index = {prompt.index: prompt for prompt in self.prompts}
        batch = self.bench.batch(self.samples, by_index, self.plan.settings.steps)
        return (method or self.plan.method)(batch)

    def changed(self, **models: Any) -> Setting:
        """The same with another generator or reward."""
        bench = copy.copy(self.bench)
        vars(bench).update(models)
        return replace(self, bench=bench)

    @cached_property
    def apart(self) -> Setting:
        """The same on a generator of its own, for more adapters: each that is attached slows the switching of all."""
        bench = self.bench
        generator = load_generator(bench.model, bench.device, bench.memory, compiled=bench.compiled)
        return self.changed(generator=generator)

    def _adapted(self, *, merge: bool) -> Method:
        settings: Any = self.plan.method.settings
        method: Method = type(self.plan.method)(replace(settings, merge=merge))
        method.attach(self.bench.generator)
        return method

    @cached_property
    def merged(self) -> Method:
        """The method with its adapter merged."""
        return self._adapted(merge=True)

    @cached_property
    def unmerged(self) -> Method:
        """The method with its adapter beside the generator's weights."""
        return self._adapted(merge=False)

    def _training_step(self) -> TrainingStep:
        texts = [prompt.text for prompt in self.prompts]
        return TrainingStep(
            TRAINED[self.name], self.bench.generator, self.bench.reward, texts, len(self.samples)
        )

    @cached_property
    def trained(self) -> TrainingStep:
        """Training an adapter of the method's kind, on as many samples a step."""
        return self._training_step()

    @cached_property
    def trained_rereading(self) -> TrainingStep:
        """The same, the text of generator and rewards read at every call."""
        return rereading(self)._training_step()

    @cached_property
    def judged(self) -> tuple[list[np.ndarray], list[Prompt]]:
        """The samples' images and prompts."""
        by_index = {prompt.index: prompt for prompt in self.prompts}
        return list(to_pixels(self.make().images)), [by_index[sample.prompt_index] for sample in self.samples]


Work = Callable[[Setting], int]
"""Does something once; returns for how many images."""


def _as_it_is(setting: Setting) -> int:
    setting.make()
    return len(setting.samples)


def rereading(setting: Setting) -> Setting:
    """With the text of generator and rewards read at every call."""
    return setting.changed(
        generator=RereadingGenerator(setting.bench.generator),
        reward=RereadingEnsemble(_members(setting.bench.reward)),
    )


def reads_back(setting: Setting) -> Setting:
    """With every reward read back from the device at every call."""
    reward = setting.bench.reward
    return setting.changed(reward=_reading_back(type(reward))(_members(reward)))


def _singly(setting: Setting) -> int:
    singly = setting.samples[:SINGLY]
    for sample in singly:
        replace(setting, samples=[sample]).make()
    return len(singly)


def _trained(setting: Setting) -> int:
    setting.apart.trained()
    return len(setting.samples)


def _trained_rereading(setting: Setting) -> int:
    setting.apart.trained_rereading()
    return len(setting.samples)


def _eagerly(work: Work) -> Work:
    """The same with networks that are not compiled."""

    def eager(setting: Setting) -> int:
        with torch.compiler.set_stance("force_eager"):
            return work(setting)

    return eager


def _with(method: Callable[[Setting], Method]) -> Work:
    def work(setting: Setting) -> int:
        setting.apart.make(method(setting.apart))
        return len(setting.samples)

    return work


def _stored(setting: Setting, *, overlapped: bool) -> int:
    """A run of four pieces, stored on the disk of the results."""
    setting.results.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=setting.results) as folder:
        plan = setting.plan
        prompts = setting.prompts[: plan.settings.batch]  # with four seeds each
        job = Job(plan.settings, prompts, setting.bench, plan.method, RunStore(Path(folder)))
        job.store.write_manifest(job.manifest())
        for todo in [job.planned] if overlapped else [[piece] for piece in job.planned]:
            for _ in job.work(todo):
                pass
        return sum(len(piece.samples) for piece in job.planned)


def _judged_singly(setting: Setting) -> int:
    for image, prompt in zip(*setting.judged, strict=True):
        setting.bench.judge([image], [prompt])
    return len(setting.samples)


def _judged_together(setting: Setting) -> int:
    setting.bench.judge(*setting.judged)
    return len(setting.samples)


@dataclass(frozen=True)
class Optimization:
    """Something that saves time, and the same work without it; it applies to some methods, or to all.

    `compiled`: it can be switched off only where networks are compiled.
    """

    name: str
    off: Work
    on: Work = _as_it_is
    methods: tuple[str, ...] = ()
    compiled: bool = False

    def applies(self, setting: Setting) -> bool:
        """Whether there is something to switch off."""
        suits = not self.methods or setting.name in self.methods
        return suits and (setting.bench.compiled or not self.compiled)


OPTIMIZATIONS = (
    Optimization("prompts read once", lambda setting: _as_it_is(rereading(setting))),
    Optimization("batching", _singly),
    Optimization("values not read back", lambda setting: _as_it_is(reads_back(setting)), methods=ITERATED),
    Optimization("all of these (published structure)", lambda s: _singly(reads_back(rereading(s)))),
    Optimization("merged adapter", _with(lambda s: s.unmerged), _with(lambda s: s.merged), methods=ADAPTED),
    Optimization("compiled", _eagerly(_as_it_is), compiled=True),
    Optimization("training step: prompts read once", _trained_rereading, _trained, methods=tuple(TRAINED)),
    Optimization(
        "training step: compiled", _eagerly(_trained), _trained, methods=tuple(TRAINED), compiled=True
    ),
    Optimization("judging in batches", _judged_singly, _judged_together, methods=("base",)),
    Optimization(
        "storing overlapped, whole bench",
        lambda setting: _stored(setting, overlapped=False),
        lambda setting: _stored(setting, overlapped=True),
        methods=("base",),
    ),
)


@dataclass(frozen=True)
class Ablated:
    """One optimization of one method: seconds an image without it and with it, in every round."""

    optimization: str
    method: str
    off: tuple[float, ...]
    on: tuple[float, ...]


def _seconds(work: Work, setting: Setting) -> float:
    """Seconds an image; what is quickly done is done again and again, so that what was done before counts little."""
    images, began = 0, time.perf_counter()
    try:
        with Clock(setting.bench.device) as clock:
            while not images or time.perf_counter() - began < SHORTEST:
                images += work(setting)
    except torch.OutOfMemoryError:
        raise HnError(
            f"What is switched off or trained for {setting.name} at batch {len(setting.samples)} does not fit in the "
            f"memory of {setting.bench.device}; give smaller --batches, or leave out --ablate."
        ) from None
    return clock.seconds / images


def ablate(settings: Sequence[Setting], rounds: int) -> list[Ablated]:
    """Every optimization of every method in rounds, after one that does not count; methods must be attached."""
    pairs = [
        (optimization, setting)
        for optimization in OPTIMIZATIONS
        for setting in settings
        if optimization.applies(setting)
    ]
    off: list[list[float]] = [[] for _ in pairs]
    on: list[list[float]] = [[] for _ in pairs]
    with training_progress() as progress:
        task = progress.add_task("ablation", total=(rounds + 1) * len(pairs), logs="")
        for _ in range(rounds + 1):
            usual: dict[tuple[Work, str], float] = {}  # one time a round, however many are compared with it
            for number, (optimization, setting) in enumerate(pairs):
                key = optimization.on, setting.name
                if key not in usual:
                    usual[key] = _seconds(optimization.on, setting)
                on[number].append(usual[key])
                off[number].append(_seconds(optimization.off, setting))
                progress.update(task, advance=1, logs=f"{setting.name} without {optimization.name}")
    return [
        Ablated(optimization.name, setting.name, tuple(without[1:]), tuple(with_it[1:]))
        for (optimization, setting), without, with_it in zip(pairs, off, on, strict=True)
    ]
