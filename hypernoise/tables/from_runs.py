"""A table's rows from stored runs: which runs go together, their scores, times and differences to base."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernoise.errors import HnError
from hypernoise.experiments import statistics
from hypernoise.experiments.benchmark import Prompt
from hypernoise.experiments.store import RunStore
from hypernoise.registry import find
from hypernoise.tables.render import CHANGED
from hypernoise.tables.table1 import Estimate, Row
from hypernoise.tables.timing import timed_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.experiments.benchmark import Benchmark

OF_THE_METHOD = ("method", "preset", "method_settings")

METHOD_ORDER = (
    "base",
    "hypernoise",
    "lora-finetune",
    "prompt-optimization",
    "best-of-n",
    "hypernoise-best-of-n",
    "reno",
)


@dataclass(frozen=True)
class StoredRun:
    """A run as it lies in the store."""

    store: RunStore

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The stored manifest."""
        return self.store.manifest()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings in the manifest."""
        settings: dict[str, Any] = self.manifest["settings"]
        return settings

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark that was run."""
        benchmark: Benchmark = find("benchmark", self.settings["benchmark"])()
        return benchmark

    @property
    def name(self) -> str:
        """The run's name."""
        return self.store.folder.name

    @property
    def words(self) -> list[str]:
        """The beginnings of its name that end with its model, method, benchmark or suite."""
        parts = [self.settings[part] for part in ("model", "method", "benchmark", "suite")]
        return ["-".join(parts[:end]) for end in range(1, len(parts) + 1)]

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """One record a sample."""
        return self.store.records()

    @cached_property
    def prompts(self) -> list[Prompt]:
        """The prompts of the records, in the suite's order, without what only the judge needs."""
        found = {
            r["prompt_index"]: Prompt(r["prompt_index"], r["prompt"], r["task"], {}) for r in self.records
        }
        return [found[index] for index in sorted(found)]

    @property
    def finished(self) -> bool:
        """Whether all samples are stored."""
        return len(self.records) == self.settings["prompts"] * self.settings["seeds"]

    @property
    def conditions(self) -> dict[str, Any]:
        """What two runs must share for their methods to be compared: every setting but the method's own."""
        return {name: value for name, value in self.settings.items() if name not in OF_THE_METHOD}

    @cached_property
    def scores(self) -> statistics.Scores:
        """The judge's scores, as the benchmark forms its overall score."""
        return self.benchmark.scores(self.records)

    @cached_property
    def timed(self) -> float | None:
        """Seconds an image as `hn time` measured them for its settings on its machine, if it did."""
        return timed_seconds(self.store.folder.parents[1], self.settings, self.manifest["machine"])

    @cached_property
    def own_seconds(self) -> float:
        """Seconds an image, the median over its own samples."""
        return float(np.median([cost["seconds"] for cost in self.store.costs()]))

    @property
    def seconds(self) -> float:
        """Seconds an image: those of `hn time`, or else its own."""
        return self.own_seconds if self.timed is None else self.timed

    @cached_property
    def nfe(self) -> float:
        """Calls of the denoiser that an image took, the mean."""
        return float(np.mean([record["nfe"] for record in self.records]))

    @property
    def failures(self) -> int:
        """Samples that count as wrong because something failed, not because the image is wrong."""
        return sum(record["reason"].startswith("failed:") for record in self.records)

    @property
    def unrewarded(self) -> Counter[str]:
        """How many samples each reward had no finite value for."""
        values = (pair for record in self.records for pair in record.get("rewards", {}).items())
        return Counter(name for name, value in values if value is None)

    @property
    def workers(self) -> int:
        """How many workers ran at once, at most, while it was made."""
        return max((cost.get("workers", 1) for cost in self.store.costs()), default=1)


def stored_runs(results: Path) -> list[StoredRun]:
    """All finished runs below a results folder, the newest first.

    Raises:
        HnError: if one of them is damaged.
    """
    folders = sorted(path.parent for path in (results / "runs").glob("*/manifest.json"))
    runs = [run for run in map(StoredRun, map(RunStore, folders)) if run.finished]
    return sorted(runs, key=lambda run: str(run.manifest["started"]), reverse=True)


def find_run(results: Path, name: str) -> StoredRun:
    """The finished run of that name, or the newest whose name begins so; whole words first.

    `shapes-hypernoise` means the method hypernoise, though names of hypernoise-best-of-n's runs begin so too.

    Raises:
        HnError: if there is none.
    """
    fitting = [run for run in stored_runs(results) if run.name.startswith(name)]
    if not fitting:
        raise HnError(
            f"In {results / 'runs'} no finished run's name begins with {name!r}; `hn ls runs` lists them."
        )
    whole = [run for run in fitting if name in (run.name, *run.words)]
    return next((run for run in whole if run.name == name), (whole or fitting)[0])


def comparable(runs: Sequence[StoredRun], *wanted: StoredRun) -> list[StoredRun]:
    """One run of each method: those `wanted`, and of other methods one that differs from them in nothing else.

    It is the newest one with a preset as it is, or else the newest; `runs` come the newest first.
    """
    newest = {run.settings["method"]: run for run in wanted}
    for run in sorted(runs, key=lambda run: run.settings["preset"].endswith(CHANGED)):
        if run.conditions == wanted[0].conditions:
            newest.setdefault(run.settings["method"], run)
    known = {method: place for place, method in enumerate(METHOD_ORDER)}
    return [newest[method] for method in sorted(newest, key=lambda m: (known.get(m, len(known)), m))]


def world_runs(results: Path, world: str) -> list[StoredRun]:
    """All finished runs of a world, the newest first.

    Raises:
        HnError: if there is no finished run of that world.
    """
    runs = [run for run in stored_runs(results) if run.settings["model"] == world]
    if not runs:
        raise HnError(
            f"There is no finished run of {world!r} below {results / 'runs'}; "
            f"make one with `hn bench geneval --model {world}`."
        )
    return runs


def by_steps(runs: Sequence[StoredRun], reference: StoredRun) -> list[list[StoredRun]]:
    """Comparable runs for each number of steps, fewest first; in all else they are as `reference`."""
    newest: dict[int, StoredRun] = {}
    for run in runs:
        if run.conditions | {"steps": None} == reference.conditions | {"steps": None}:
            newest.setdefault(run.settings["steps"], run)
    return [comparable(runs, newest[steps]) for steps in sorted(newest)]


def by_rank(runs: Sequence[StoredRun], reference: StoredRun, method: str) -> list[list[StoredRun]]:
    """Base and a method's newest run of each LoRA rank, for each number of steps at which there are several ranks."""
    groups = []
    for group in by_steps(runs, reference):
        newest: dict[int, StoredRun] = {}
        for run in runs:
            rank = run.settings["method_settings"].get("lora_rank")
            if run.settings["method"] == method and rank and run.conditions == group[0].conditions:
                newest.setdefault(rank, run)
        base = [run for run in group if run.settings["method"] == "base"]
        if len(newest) > 1:
            groups.append([*base, *(newest[rank] for rank in sorted(newest))])
    return groups


def known(estimate: statistics.Estimate) -> Estimate:
    """An estimate as tables have it: None where an end of its interval is not known."""
    low, high = (None if np.isnan(end) else float(end) for end in (estimate.low, estimate.high))
    return Estimate(float(estimate.mean), low, high)


def rows(runs: Sequence[StoredRun]) -> list[Row]:
    """One row a run; differences and p-values against the `base` run among them, Holm-corrected together."""
    base = next((run for run in runs if run.settings["method"] == "base"), None)
    others = [run for run in runs if base is not None and run is not base]
    p_values = [statistics.sign_flip_p(run.scores, base.scores) for run in others] if base else []
    corrected = (
        dict(zip([run.name for run in others], statistics.holm(p_values), strict=True)) if others else {}
    )
    return [_row(run, base, corrected.get(run.name)) for run in runs]


def _row(run: StoredRun, base: StoredRun | None, p_value: float | None) -> Row:
    delta = None
    if base is not None and run is not base:
        delta = known(statistics.paired_difference(run.scores, base.scores).overall)
    return Row(
        model=run.settings["model"],
        method=run.settings["method"],
        steps=run.settings["steps"],
        params_b=run.manifest["parameters"] / 1e9,
        seconds=run.seconds,
        nfe=run.nfe,
        mean=known(statistics.bootstrap_interval(run.scores).overall),
        delta=delta,
        tasks={name: known(estimate) for name, estimate in run.benchmark.columns(run.records).items()},
        prompts=run.settings["prompts"],
        seeds=run.settings["seeds"],
        p_value=None if p_value is None else float(p_value),
    )


def _language_model(run: StoredRun) -> list[str]:
    """What a run's language model cost, and how often a rewriter failed."""
    said, method = [], run.settings["method"]
    calls, tokens = (
        float(np.mean([record.get(name, 0) for record in run.records]))
        for name in ("llm_calls", "llm_tokens")
    )
    if calls:
        seconds = np.mean([cost["llm_seconds"] for cost in run.store.costs()])
        said.append(
            f"{method}: {calls:.1f} calls of a language model, {tokens:.0f} tokens and {seconds:.2g} of the seconds an "
            "image; its weights are not among the parameters."
        )
    failed = [failure for r in run.records for failure in r.get("method_details", {}).get("failures", ())]
    if failed:
        kinds = Counter(failure.split(": ")[1] for failure in failed).most_common()
        counted = ", ".join(f"{count} × {kind}" for kind, count in kinds)
        said.append(
            f"{method}: {len(failed)} rounds of rewriting failed ({counted}); their samples keep the best before."
        )
    return said


def _clocks(timed: Sequence[StoredRun], others: Sequence[StoredRun]) -> list[str]:
    """Which times are those of `hn time`, and which the runs' own."""
    said = []
    if timed:
        said.append(
            f"Times of {_methods(timed)}: measured by `hn time` in interleaved rounds on the same machine."
        )
    if others:
        said.append(
            f"Times of {_methods(others)}: the runs' own, taken while images made before may have been stored."
        )
    return said


def _methods(runs: Sequence[StoredRun]) -> str:
    return ", ".join(run.settings["method"] for run in runs)


def notes(runs: Sequence[StoredRun], *, own_clocks: bool = False) -> list[str]:
    """What a reader must know to trust the rows: sizes, detectable difference, settings, machine, failures.

    With `own_clocks` the rows have the runs' own times, whatever `hn time` measured.
    """
    first = runs[0]
    timed = [run for run in runs if run.timed is not None and not own_clocks]
    base = next((run for run in runs if run.settings["method"] == "base"), None)
    machine, report = first.manifest["machine"], first.benchmark.report
    said = [
        f"{first.settings['prompts']} prompts × {first.settings['seeds']} seeds, suite {first.settings['suite']}, "
        f"prompt set {first.settings['prompts_sha256'][:8]}.",
        f"Time: median seconds an image at batch {first.settings['batch']}, text encoding and decoding included, "
        f"loading, judging and storing not; {machine['processor']}, {machine['threads']} threads, {machine['device']}.",
        *_clocks(timed, [run for run in runs if run not in timed]),
        *first.benchmark.remarks(first.settings["suite"], first.records),
    ]
    for run in runs:
        method = run.settings["method"]
        if base is not None and run is not base and first.settings["prompts"] > 1:
            smallest = statistics.smallest_detectable_difference(run.scores, base.scores)
            if not np.isnan(smallest):
                printed = f"{smallest * report.scale:.{report.digits[0]}f}"
                said.append(f"{method} against base: smallest detectable difference {printed} (80% power).")
        if run.settings["method_settings"]:
            given = {name: value for name, value in run.settings["method_settings"].items() if value != ""}
            values = ", ".join(f"{name} {value}" for name, value in given.items())
            said.append(f"{method}: preset {run.settings['preset']} ({values}).")
        if run.failures:
            said.append(f"{method}: {run.failures} images failed and count as wrong.")
        for reward, count in run.unrewarded.items():
            said.append(f"{method}: {count} images have no finite value of the reward {reward}.")
        if run.workers > 1 and run not in timed:
            said.append(f"{method}: its times were taken while up to {run.workers} workers ran at once.")
        said += _language_model(run)
    weights = ", ".join(f"{name} × {weight:g}" for name, weight in first.settings["rewards"].items())
    said.append(f"Reward: {weights}.")
    return said
