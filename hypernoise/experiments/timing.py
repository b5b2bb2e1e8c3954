"""`hn time`: methods timed against each other on one machine, warmed, synchronized and in interleaved rounds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments.bench import Plan, Request, plan
from hypernoise.experiments.environment import PeakMemory, machine, pick_device
from hypernoise.experiments.plan import pieces
from hypernoise.experiments.runner import Workbench
from hypernoise.progress import training_progress
from hypernoise.tables.times import Times, publish_times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.experiments.benchmark import Prompt
    from hypernoise.methods import Sample


@dataclass(frozen=True)
class Timed:
    """One method at one batch size: seconds an image in every round, calls of the denoiser, peak memory in MB."""

    method: str
    preset: str
    batch: int
    seconds: tuple[float, ...]
    nfe: int
    megabytes: float | None


class Stopwatch:
    """Times the whole way from prompts to images: text encoding, the method and decoding; no loading, no storing."""

    def __init__(self, bench: Workbench, prompts: Sequence[Prompt], steps: int) -> None:
        self.bench, self.steps = bench, steps
        self.prompts = {prompt.index: prompt for prompt in prompts}

    def _synchronize(self) -> None:
        if self.bench.device.type == "cuda":
            torch.cuda.synchronize(self.bench.device)

    def __call__(self, each: Plan, samples: Sequence[Sample]) -> tuple[float, int, float | None]:
        """Seconds an image, NFE and peak memory of one batch."""
        peak = PeakMemory(self.bench.device)
        self._synchronize()
        peak.restart()
        began = time.perf_counter()
        outcome = each.method(self.bench.batch(samples, self.prompts, self.steps))
        self._synchronize()
        seconds = (time.perf_counter() - began) / len(samples)
        return seconds, outcome.spent.nfe, peak.megabytes()


def batch_sizes(text: str) -> list[int]:
    """Batch sizes given as text, such as "1,40".

    Raises:
        HnError: if they are not whole numbers from 1 on.
    """
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise HnError(f"--batches is {text!r} but must be whole numbers from 1 on, such as 1,40.")
    return sorted({int(word) for word in words})


def measure(
    plans: Sequence[Plan], bench: Workbench, prompts: Sequence[Prompt], sizes: Sequence[int], rounds: int
) -> list[Timed]:
    """Every method at every batch size, in rounds A B C A B C after one round that does not count.

    Raises:
        HnError: if there are fewer samples than a batch takes.
    """
    settings = plans[0].settings
    samples = [sample for piece in pieces(prompts, settings) for sample in piece.samples]
    if len(samples) < max(sizes):
        raise HnError(
            f"There are {len(samples)} samples but a batch of {max(sizes)}: ask for at most {len(samples)}."
        )
    for each in plans:
        each.method.attach(bench.generator)
    watch = Stopwatch(bench, prompts, settings.steps)
    cells = [(each, size) for size in sizes for each in plans]
    seen: dict[tuple[str, int], list[tuple[float, int, float | None]]] = {}
    with training_progress() as progress:
        task = progress.add_task("timing", total=(rounds + 1) * len(cells), logs="")
        for number in range(rounds + 1):
            for each, size in cells:
                found = watch(each, samples[:size])
                if number > 0:
                    seen.setdefault((each.settings.method, size), []).append(found)
                progress.update(task, advance=1, logs=f"{each.settings.method} at batch {size}")
    return [_timed(each, size, seen[each.settings.method, size]) for each, size in cells]


def _timed(each: Plan, size: int, found: Sequence[tuple[float, int, float | None]]) -> Timed:
    peaks = [peak for _, _, peak in found if peak is not None]
    return Timed(
        method=each.settings.method,
        preset=each.settings.preset,
        batch=size,
        seconds=tuple(seconds for seconds, _, _ in found),
        nfe=found[0][1],
        megabytes=float(np.max(peaks)) if peaks else None,
    )


def run_times(request: Request, batches: str, rounds: int, results: Path) -> None:
    """`hn time`: measure, print, and write `times.csv` and `times.md` below `results/<model>/`.

    Raises:
        HnError: for the first thing that cannot be done, before anything is computed or written.
    """
    sizes, device = batch_sizes(batches), pick_device(request.device)
    plans, prompts, benchmark = plan(request, device)
    if plans[0].settings.method != "base":
        raise HnError("The first method must be base: the others' times are given as multiples of its time.")
    first = plans[0].settings
    bench = Workbench(request.model, first.rewards, benchmark, first.suite, device)
    timed = measure(plans, bench, prompts, sizes, rounds)
    publish_times(Times(request.model, first.steps, timed, machine(device)), results, Console())
