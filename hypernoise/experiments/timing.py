"""`hn time`: methods timed against each other on one machine, warmed, synchronized and in interleaved rounds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments.ablation import Setting, ablate
from hypernoise.experiments.bench import Plan, Request, plan, workbench
from hypernoise.experiments.environment import Clock, machine, pick_device
from hypernoise.experiments.plan import all_samples
from hypernoise.progress import training_progress
from hypernoise.settings import whole_numbers
from hypernoise.tables.ablation import publish_ablation
from hypernoise.tables.timing import Timing, networks, publish_timing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hypernoise.experiments.benchmark import Prompt
    from hypernoise.experiments.runner import Workbench
    from hypernoise.methods import Sample

BEST = "best"
"""Stands for the best batch size among those that are given."""

GAIN = 0.95
"""A batch of twice the size is better if an image takes at most this share of its time."""


@dataclass(frozen=True)
class Timed:
    """One method at one batch size: seconds an image in every round, calls of the denoiser, peak memory in MB.

    Its settings are those of a run's manifest.
    """

    method: str
    preset: str
    settings: Mapping[str, Any]
    batch: int
    seconds: tuple[float, ...]
    nfe: float
    megabytes: float | None


@dataclass(frozen=True)
class Cell:
    """What is timed once a round."""

    plan: Plan
    batch: int


class Stopwatch:
    """Times the whole way from prompts to images: text encoding, the method and decoding; no loading, no storing."""

    def __init__(
        self, bench: Workbench, prompts: Sequence[Prompt], samples: Sequence[Sample], steps: int
    ) -> None:
        self.bench, self.samples, self.steps = bench, samples, steps
        self.prompts = {prompt.index: prompt for prompt in prompts}

    def __call__(self, cell: Cell) -> tuple[float, float, float | None]:
        """Seconds an image, NFE and peak memory."""
        with Clock(self.bench.device) as clock:
            batch = self.bench.batch(self.samples[: cell.batch], self.prompts, self.steps)
            outcome = cell.plan.method(batch)
        return clock.seconds / cell.batch, outcome.nfe, clock.megabytes

    def _fits(self, cell: Cell) -> float | None:
        """The faster of two times, or None where memory is out."""
        try:
            return min(self(cell)[0] for _ in range(2))
        except torch.OutOfMemoryError:
            return None

    def best_batch(self, plan: Plan) -> int:
        """The last batch size, doubled from 1, that took an image clearly less time than the one before.

        Raises:
            HnError: if not even one image fits in memory.
        """
        best, fastest = 0, float("inf")
        for size in takewhile(lambda size: size <= len(self.samples), _doubled()):
            seconds = self._fits(Cell(plan, size))
            if seconds is None or seconds > GAIN * fastest:
                break
            best, fastest = size, seconds
        if not best:
            raise HnError(
                f"One image by {plan.settings.method} does not fit in the memory of {self.bench.device}."
            )
        return best


def _doubled() -> Iterator[int]:
    size = 1
    while True:
        yield size
        size *= 2


def read_batches(text: str) -> tuple[list[int], bool]:
    """Batch sizes such as "1,40", and whether `best`, as in "1,best", is among them.

    Raises:
        HnError: if it is neither.
    """
    words = [word.strip() for word in text.split(",")]
    numbers = [word for word in words if word != BEST]
    if not numbers:
        return [], True
    return whole_numbers(",".join(numbers), "--batches", "1,40 or 1,best"), len(numbers) < len(words)


def measure(cells: Sequence[Cell], watch: Stopwatch, rounds: int) -> list[Timed]:
    """Every cell in rounds A B C A B C, after one round that does not count.

    Raises:
        HnError: if a batch does not fit in memory.
    """
    seen: list[list[tuple[float, float, float | None]]] = [[] for _ in cells]
    with training_progress() as progress:
        task = progress.add_task("timing", total=(rounds + 1) * len(cells), logs="")
        for _ in range(rounds + 1):
            for cell, found in zip(cells, seen, strict=True):
                try:
                    found.append(watch(cell))
                except torch.OutOfMemoryError:
                    raise HnError(
                        f"{cell.plan.settings.method} at batch {cell.batch} does not fit in the memory of "
                        f"{watch.bench.device}; give smaller --batches, or --batches best."
                    ) from None
                progress.update(task, advance=1, logs=f"{cell.plan.settings.method} at batch {cell.batch}")
    return [_timed(cell, found[1:]) for cell, found in zip(cells, seen, strict=True)]


def _timed(cell: Cell, found: Sequence[tuple[float, float, float | None]]) -> Timed:
    peaks = [peak for _, _, peak in found if peak is not None]
    return Timed(
        method=cell.plan.settings.method,
        preset=cell.plan.settings.preset,
        settings=cell.plan.settings.method_settings,
        batch=cell.batch,
        seconds=tuple(seconds for seconds, _, _ in found),
        nfe=found[0][1],
        megabytes=max(peaks) if peaks else None,
    )


def _sizes(batches: str, plans: Sequence[Plan], watch: Stopwatch, console: Console) -> list[int]:
    """The batch sizes asked for; the best one is the smallest of the methods' best ones, so that it suits all."""
    sizes, best = read_batches(batches)
    if best:
        found = {plan.settings.method: watch.best_batch(plan) for plan in plans}
        each = ", ".join(f"{method} {size}" for method, size in found.items())
        console.print(f"Best batch: {min(found.values())} ({each})", highlight=False)
        sizes = sorted({*sizes, min(found.values())})
    return sizes


def run_times(request: Request, batches: str, rounds: int, results: Path, *, ablation: bool) -> None:
    """`hn time`: measure, print, and write `timing.csv` and `timing.md` below `results/<model>/`.

    With `ablation`, what every optimization gains at the largest batch too, as `ablation.csv` and `ablation.md`.

    Raises:
        HnError: for the first thing that cannot be done, before anything is computed or written.
    """
    device, console = pick_device(request.device), Console()
    numbers, _ = read_batches(batches)
    plans, prompts, benchmark = plan(request, device)
    first = plans[0].settings
    if first.method != "base":
        raise HnError("The first method must be base: the others' times are given as multiples of its time.")
    if ablation and benchmark.whole_prompts:
        raise HnError(
            f"{benchmark.name} compares the images of a prompt, so judging them one by one cannot be timed: give "
            "--ablate another --benchmark."
        )
    samples, largest = all_samples(prompts, first), max(numbers, default=1)
    if len(samples) < largest:
        raise HnError(
            f"There are {len(samples)} samples but a batch of {largest}: ask for at most {len(samples)}."
        )
    bench = workbench(request, first, benchmark, device)
    for each in plans:
        each.method.attach(bench.generator)
    watch = Stopwatch(bench, prompts, samples, first.steps)
    sizes = _sizes(batches, plans, watch, console)
    timed = measure([Cell(each, size) for size in sizes for each in plans], watch, rounds)
    facts = machine(device) | {
        "memory": ", ".join(request.memory.words) or "ample",
        "networks": networks(compiled=request.compiled),
    }
    timing = Timing(request.model, first.steps, first.rewards, timed, facts)
    publish_timing(timing, results, console)
    if ablation:
        largest = max(sizes)
        settings = [
            Setting(each.at_batch(largest), bench, prompts, samples[:largest], results) for each in plans
        ]
        publish_ablation(ablate(settings, rounds), largest, timing, results, console)
