"""`hn time`: methods timed against each other on one machine, warmed, synchronized and in interleaved rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments.ablation import as_published
from hypernoise.experiments.bench import Plan, Request, plan
from hypernoise.experiments.environment import Clock, machine, pick_device
from hypernoise.experiments.plan import all_samples
from hypernoise.experiments.runner import Workbench
from hypernoise.progress import training_progress
from hypernoise.tables.times import Times, publish_times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.experiments.benchmark import Prompt
    from hypernoise.methods import Sample


SINGLY = 4
"""Samples that a round of the published structure takes, one after another."""


@dataclass(frozen=True)
class Timed:
    """One method at one batch size: seconds an image in every round, calls of the denoiser, peak memory in MB.

    `published` is for the structure of published loops, see `ablation.py`.
    """

    method: str
    preset: str
    batch: int
    seconds: tuple[float, ...]
    nfe: float
    megabytes: float | None
    published: bool = False


@dataclass(frozen=True)
class Cell:
    """What is timed once a round."""

    plan: Plan
    batch: int
    published: bool = False


class Stopwatch:
    """Times the whole way from prompts to images: text encoding, the method and decoding; no loading, no storing."""

    def __init__(
        self, bench: Workbench, prompts: Sequence[Prompt], samples: Sequence[Sample], steps: int
    ) -> None:
        self.bench, self.samples, self.steps = bench, samples, steps
        self.prompts = {prompt.index: prompt for prompt in prompts}

    def _make(self, cell: Cell) -> tuple[int, float]:
        """Make images; returns how many, and the NFE of one."""
        method = cell.plan.method
        if not cell.published:
            outcome = method(self.bench.batch(self.samples[: cell.batch], self.prompts, self.steps))
            return cell.batch, outcome.nfe
        singly = self.samples[:SINGLY]
        batches = [self.bench.batch([sample], self.prompts, self.steps) for sample in singly]
        texts = [self.prompts[sample.prompt_index].text for sample in singly]
        return len(singly), as_published(method, batches, texts)[0].nfe

    def __call__(self, cell: Cell) -> tuple[float, float, float | None]:
        """Seconds an image, NFE and peak memory."""
        with Clock(self.bench.device) as clock:
            images, nfe = self._make(cell)
        return clock.seconds / images, nfe, clock.megabytes


def measure(cells: Sequence[Cell], bench: Workbench, prompts: Sequence[Prompt], rounds: int) -> list[Timed]:
    """Every cell in rounds A B C A B C, after one round that does not count.

    Raises:
        HnError: if there are fewer samples than a batch takes.
    """
    settings, largest = cells[0].plan.settings, max(cell.batch for cell in cells)
    samples = all_samples(prompts, settings)
    if len(samples) < largest:
        raise HnError(
            f"There are {len(samples)} samples but a batch of {largest}: ask for at most {len(samples)}."
        )
    for cell in cells:
        cell.plan.method.attach(bench.generator)
    watch = Stopwatch(bench, prompts, samples, settings.steps)
    seen: list[list[tuple[float, float, float | None]]] = [[] for _ in cells]
    with training_progress() as progress:
        task = progress.add_task("timing", total=(rounds + 1) * len(cells), logs="")
        for _ in range(rounds + 1):
            for cell, found in zip(cells, seen, strict=True):
                found.append(watch(cell))
                progress.update(task, advance=1, logs=f"{cell.plan.settings.method} at batch {cell.batch}")
    return [_timed(cell, found[1:]) for cell, found in zip(cells, seen, strict=True)]


def _timed(cell: Cell, found: Sequence[tuple[float, float, float | None]]) -> Timed:
    peaks = [peak for _, _, peak in found if peak is not None]
    return Timed(
        method=cell.plan.settings.method,
        preset=cell.plan.settings.preset,
        batch=cell.batch,
        seconds=tuple(seconds for seconds, _, _ in found),
        nfe=found[0][1],
        megabytes=max(peaks) if peaks else None,
        published=cell.published,
    )


def run_times(request: Request, sizes: Sequence[int], rounds: int, results: Path, *, ablate: bool) -> None:
    """`hn time`: measure, print, and write `times.csv` and `times.md` below `results/<model>/`.

    With `ablate`, every method is timed in the structure of published loops too.

    Raises:
        HnError: for the first thing that cannot be done, before anything is computed or written.
    """
    device = pick_device(request.device)
    plans, prompts, benchmark = plan(request, device)
    first = plans[0].settings
    if first.method != "base":
        raise HnError("The first method must be base: the others' times are given as multiples of its time.")
    bench = Workbench(request.model, first.rewards, benchmark, first.suite, device, request.memory)
    cells = [Cell(each, size) for size in sizes for each in plans]
    cells += [Cell(each, 1, published=True) for each in plans if ablate]
    timed = measure(cells, bench, prompts, rounds)
    facts = machine(device) | {"memory": ", ".join(request.memory.words) or "ample"}
    publish_times(Times(request.model, first.steps, timed, facts), results, Console())
