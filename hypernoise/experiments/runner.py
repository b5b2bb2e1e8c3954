"""A run from its plan to its records: generate and judge piece by piece, storing one while the next is made."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from hypernoise.errors import HnError
from hypernoise.experiments.environment import Clock, machine
from hypernoise.experiments.one_behind import one_behind
from hypernoise.experiments.plan import pieces
from hypernoise.generators.compilation import load_generator
from hypernoise.generators.protocol import AMPLE
from hypernoise.methods import Batch
from hypernoise.pixels import to_images, to_pixels
from hypernoise.rewards.ensemble import Ensemble, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hypernoise.experiments.benchmark import Benchmark, Judge, Judged, Prompt
    from hypernoise.experiments.plan import Piece, RunSettings
    from hypernoise.experiments.store import RunStore
    from hypernoise.generators.protocol import Generator, Memory
    from hypernoise.methods import Method, Sample


class Workbench:
    """The models that runs share, loaded when first needed: a finished run loads nothing."""

    def __init__(
        self,
        model: str,
        rewards: Mapping[str, float],
        benchmark: Benchmark,
        suite: str,
        device: torch.device,
        memory: Memory = AMPLE,
        *,
        compiled: bool = False,
    ) -> None:
        self.model, self.weights, self.benchmark, self.suite = model, rewards, benchmark, suite
        self.device, self.memory, self.compiled = device, memory, compiled

    @cached_property
    def generator(self) -> Generator:
        """The generator, loaded."""
        return load_generator(self.model, self.device, self.memory, compiled=self.compiled)

    @cached_property
    def reward(self) -> Ensemble:
        """The reward ensemble, loaded."""
        return Ensemble.load(self.weights, self.device)

    @cached_property
    def judge(self) -> Judge:
        """The judge, loaded."""
        return self.benchmark.judge(self.suite, self.device)

    def batch(self, samples: Sequence[Sample], prompts: Mapping[int, Prompt], steps: int) -> Batch:
        """A batch in which each prompt has been encoded once, however many seeds it has."""
        distinct = list(dict.fromkeys(sample.prompt_index for sample in samples))
        texts = [prompts[index].text for index in distinct]
        rows = [distinct.index(sample.prompt_index) for sample in samples]
        return Batch(
            samples,
            self.generator.encode(texts).take(rows),
            take(self.reward.encode(texts), rows),
            self.generator,
            self.reward,
            steps,
            self.device,
            prompts=[prompts[sample.prompt_index].text for sample in samples],
        )


@dataclass(frozen=True)
class _Made:
    """What one batch became: pixels uint8 [B, H, W, 3], and what is known of each image, or of all of them."""

    samples: Sequence[Sample]
    pixels: np.ndarray
    finite: list[bool]
    rewards: list[dict[str, float | None]]
    facts: list[dict[str, Any]]
    seconds: float
    megabytes: float | None


@torch.no_grad()
def _reward_values(bench: Workbench, batch: Batch, pixels: np.ndarray) -> list[dict[str, float | None]]:
    """Every reward's value for every stored image, unweighted; None where it is not finite."""
    images = to_images(pixels).to(bench.device)
    parts = bench.reward.parts(images, batch.texts)
    values = torch.stack([part.float() for part in parts.values()], dim=1).tolist()
    return [
        {
            name: round(value, 6) if np.isfinite(value) else None
            for name, value in zip(parts, row, strict=True)
        }
        for row in values
    ]


def _judged(bench: Workbench, made: Sequence[_Made], prompts: Sequence[Prompt]) -> list[Judged]:
    """The judge's word on every image; one that is not finite scores 0 and says so."""
    judged = bench.judge([image for part in made for image in part.pixels], prompts)
    finite = [good for part in made for good in part.finite]
    return [
        verdict if good else replace(verdict, score=0.0, reason="failed: the image is not finite")
        for verdict, good in zip(judged, finite, strict=True)
    ]


@dataclass
class Fitting:
    """How many samples fit in memory together: all that anybody wants, until memory runs out."""

    samples: int = sys.maxsize

    def halve(self, tried: int, job: Job) -> None:
        """After memory ran out with some samples, try half of them from now on.

        Raises:
            HnError: if it was a single one.
        """
        if tried == 1:
            raise HnError(
                f"One image of {job.bench.model} by {job.method.name} does not fit in the memory of "
                f"{job.bench.device}; `hn models` says what a model needs."
            )
        self.samples = tried // 2
        if job.bench.device.type == "cuda":
            torch.cuda.empty_cache()


@dataclass(frozen=True)
class Job:
    """A run, where it is stored, and the models that it is done with.

    Attributes:
        settings: What identifies the run.
        prompts: Its prompts.
        bench: The models; loaded only where pieces are done.
        method: Its method.
        store: Its folder.
        workers: How many such jobs do its pieces at once, which is stored beside the times that they take.
        fitting: How many samples fit in memory together, as far as it has been found out.
    """

    settings: RunSettings
    prompts: Sequence[Prompt]
    bench: Workbench
    method: Method
    store: RunStore
    workers: int = 1
    fitting: Fitting = field(default_factory=Fitting)

    @cached_property
    def planned(self) -> list[Piece]:
        """All pieces of the run, each in the place of its number."""
        return pieces(self.prompts, self.settings, whole_prompts=self.bench.benchmark.whole_prompts)

    @cached_property
    def by_index(self) -> dict[int, Prompt]:
        """The prompts by their place in the suite."""
        return {prompt.index: prompt for prompt in self.prompts}

    def manifest(self) -> dict[str, Any]:
        """What the run is, if it begins here and now."""
        return {
            "run": self.settings.run,
            "settings": asdict(self.settings),
            "parameters": self.bench.generator.parameters + self.method.attach(self.bench.generator),
            "machine": machine(self.bench.device),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

    def work(self, todo: Sequence[Piece]) -> Iterator[Piece]:
        """Do pieces, and give each back when it is stored, which takes place while the next is made.

        Raises:
            HnError: if the run was begun on another machine, or something cannot be written.
        """
        if todo:
            _check_machine(self.bench, self.store)
            self.method.attach(self.bench.generator)
        made = (_make_piece(piece, self) for piece in todo)
        yield from one_behind(made, partial(_store_piece, job=self))


class Hands(Protocol):
    """Who does a job's pieces: the job itself in this process, or others."""

    def manifest(self) -> dict[str, Any]:
        """As `Job.manifest`."""
        ...

    def work(self, todo: Sequence[Piece]) -> Iterator[Piece]:
        """As `Job.work`, in any order."""
        ...


@dataclass(frozen=True)
class _MadePiece:
    """A piece's batches, and the judge's word on each of their images."""

    piece: Piece
    batches: Sequence[_Made]
    verdicts: Sequence[Judged]


def _make(samples: Sequence[Sample], job: Job) -> _Made:
    """Generate one batch, on the clock, and look at its rewards, off it."""
    bench = job.bench
    bench.generator, bench.reward  # noqa: B018 - loading is not on the clock
    with Clock(bench.device) as clock:
        batch = bench.batch(samples, job.by_index, job.settings.steps)
        outcome = job.method(batch)
    pixels = to_pixels(outcome.images)
    finite = outcome.images.isfinite().flatten(1).all(dim=1).tolist()
    facts = [outcome.made(row) for row in range(len(samples))]
    rewards = _reward_values(bench, batch, pixels)
    return _Made(samples, pixels, finite, rewards, facts, clock.seconds / len(samples), clock.megabytes)


def _made(samples: Sequence[Sample], job: Job) -> _Made | None:
    """One batch, or None where memory is out; what the failed attempt held is free by then."""
    try:
        return _make(samples, job)
    except torch.OutOfMemoryError:
        return None


def _make_piece(piece: Piece, job: Job) -> _MadePiece:
    """Make a piece's images, `batch` at once or as many as fit in memory, and judge them all together."""
    made: list[_Made] = []
    rest = piece.samples
    while rest:
        samples = rest[: min(job.settings.batch, job.fitting.samples)]
        part = _made(samples, job)
        if part is None:
            job.fitting.halve(len(samples), job)
            continue
        made.append(part)
        rest = rest[len(samples) :]
    prompts = [job.by_index[sample.prompt_index] for sample in piece.samples]
    return _MadePiece(piece, made, _judged(job.bench, made, prompts))


def _store_piece(made: _MadePiece, job: Job) -> Piece:
    """Write a piece's images, and when they are durable its records."""
    verdicts = iter(made.verdicts)
    records, costs = [], []
    for part in made.batches:
        for sample, image, rewards, facts in zip(
            part.samples, part.pixels, part.rewards, part.facts, strict=True
        ):
            prompt = job.by_index[sample.prompt_index]
            digest = job.store.write_image(sample.prompt_index, sample.seed, image)
            key = {"prompt_index": sample.prompt_index, "seed": sample.seed}
            cost = {"seconds": part.seconds, "llm_seconds": facts.pop("llm_seconds"), "workers": job.workers}
            records.append(
                key
                | {"prompt": prompt.text, "task": prompt.task, "image_sha256": digest, "rewards": rewards}
                | facts
                | asdict(next(verdicts))
            )
            costs.append(key | cost | {"peak_memory_mb": part.megabytes, "batch": len(part.samples)})
    job.store.write_piece(made.piece.number, records, costs)
    return made.piece


def execute(job: Job, advance: Callable[[int], None], hands: Hands | None = None) -> None:
    """Do what is left of a run. `advance` is told the number of samples done, stored ones first.

    Raises:
        HnError: if another process works on the run, what is stored is damaged, or something cannot be written.
    """
    hands = hands or job
    with job.store.locked():
        _check_manifest(job, hands)
        stored = {piece.number for piece in job.planned if job.store.has_piece(piece)}
        for piece in job.planned:
            if piece.number in stored:
                advance(len(piece.samples))
        for piece in hands.work([piece for piece in job.planned if piece.number not in stored]):
            advance(len(piece.samples))


def _check_manifest(job: Job, hands: Hands) -> None:
    store = job.store
    if not store.manifest_path.exists():
        store.write_manifest(hands.manifest())
    elif store.manifest()["run"] != job.settings.run:
        raise HnError(f"{store.manifest_path} belongs to another run; delete {store.folder} and run again.")


def _check_machine(bench: Workbench, store: RunStore) -> None:
    """Another processor, device or number of threads rounds differently, and takes another time."""
    began, here = store.manifest()["machine"], machine(bench.device)
    if began != here:
        changed = [
            f"{key} {began.get(key)}, here {here.get(key)}" for key in here if began.get(key) != here[key]
        ]
        raise HnError(
            f"The run {store.folder.name} was begun elsewhere ({'; '.join(changed)}); "
            f"finish it there, or delete {store.folder} and run again."
        )
