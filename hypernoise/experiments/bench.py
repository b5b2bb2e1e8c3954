"""`hn bench`: several methods on the same prompts and noise, from the user's words to a printed table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import spread
from hypernoise.experiments.environment import pick_device, versions
from hypernoise.experiments.plan import RunSettings, prompts_sha256, seed_range
from hypernoise.experiments.runner import Job, Workbench, execute
from hypernoise.experiments.store import RunStore
from hypernoise.experiments.workers import crew
from hypernoise.generators.compilation import refuse_uncompilable
from hypernoise.generators.protocol import AMPLE, refuse_offload, refuse_steering
from hypernoise.registry import find, nearest, package
from hypernoise.settings import as_dict, overridden
from hypernoise.tables.from_runs import StoredRun, comparable, stored_runs
from hypernoise.tables.publish import publish
from hypernoise.tables.render import CHANGED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import torch

    from hypernoise.experiments.benchmark import Benchmark, Prompt
    from hypernoise.generators.protocol import Generator, Memory
    from hypernoise.methods import Method


@dataclass(frozen=True)
class Request:
    """What the user asked for, as typed; without `steps` or `batch`, the model's own numbers."""

    benchmark: str
    model: str
    methods: Sequence[str]
    seeds: str
    limit: int | None
    steps: int | None
    suite: str | None
    rewards: Sequence[str]
    changes: Sequence[str]
    batch: int | None
    device: str
    memory: Memory = AMPLE
    compiled: bool = False


@dataclass(frozen=True)
class Plan:
    """One run that is to be done."""

    settings: RunSettings
    method: Method

    def at_batch(self, batch: int) -> Plan:
        """The same with other numbers of samples worked on together."""
        return replace(self, settings=replace(self.settings, batch=batch))


def find_benchmark(name: str, suite: str) -> Benchmark:
    """A benchmark that has the suite.

    Raises:
        HnError: if either is unknown.
    """
    benchmark: Benchmark = find("benchmark", name)()
    if suite not in benchmark.suites:
        raise HnError(f"{name} has no suite {suite!r}: {nearest(suite, list(benchmark.suites))}")
    return benchmark


def reward_weights(texts: Sequence[str], default: Mapping[str, float]) -> dict[str, float]:
    """Rewards given as NAME=WEIGHT, or the default ones where none are.

    Raises:
        HnError: if one cannot be read, is unknown or named twice.
    """
    weights: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            weight = float(value)
        except ValueError:
            weight = nan
        if not isfinite(weight):
            raise HnError(f"--reward is {text!r} but must be NAME=WEIGHT, such as shapes-match=1.")
        if name in weights:
            raise HnError(f"The reward {name!r} is named twice; give it one weight.")
        find("reward", name)
        weights[name] = weight
    return weights or dict(default)


def _changes(texts: Sequence[str], methods: Sequence[str]) -> dict[str, dict[str, str]]:
    changes: dict[str, dict[str, str]] = {}
    for text in texts:
        target, equals, value = text.partition("=")
        method, dot, setting = target.partition(".")
        if not equals or not dot:
            raise HnError(f"--set is {text!r} but must be METHOD.SETTING=VALUE, such as best-of-n.n=10.")
        if method not in methods:
            raise HnError(f"--set {text} changes {method!r}, which is not among the methods asked for.")
        changes.setdefault(method, {})[setting] = value
    return changes


@dataclass(frozen=True)
class _Chosen:
    """A method as the user asked for it."""

    name: str
    preset: str
    settings: Any
    method: Method

    def planned(self, common: RunSettings, model: type[Generator]) -> Plan:
        """Its run on a model; an adapter or language model on the hub is downloaded for it."""
        everything = as_dict(self.settings) | self.method.identity(model) | package("method", self.name)
        return Plan(
            replace(common, method=self.name, preset=self.preset, method_settings=everything), self.method
        )


def _chosen(text: str, changes: Mapping[str, Mapping[str, str]]) -> _Chosen:
    name, _, preset = text.partition(":")
    kind = find("method", name)
    preset = preset or next(iter(kind.presets))
    if preset not in kind.presets:
        raise HnError(f"{name} has no preset {preset!r}: {nearest(preset, list(kind.presets))}")
    settings = overridden(kind.presets[preset], changes.get(name, {}), name)
    changed = "" if settings == kind.presets[preset] else CHANGED
    return _Chosen(name, preset + changed, settings, kind(settings))


def _files(model: type[Generator], rewards: Iterable[str]) -> dict[str, str]:
    """sha256 of every file of weights that a run depends on."""
    files = dict(model.weights())
    for reward in rewards:
        files |= {f"{reward}/{file}": digest for file, digest in find("reward", reward).weights().items()}
    return files


def _versions(request: Request, rewards: Iterable[str]) -> dict[str, str]:
    """Versions of the libraries, and of the third parties' packages, that all methods' runs depend on."""
    brought = [
        ("model", request.model),
        ("benchmark", request.benchmark),
        *(("reward", name) for name in rewards),
    ]
    return versions() | {owner: version for named in brought for owner, version in package(*named).items()}


def _fitting_benchmark(request: Request, model: type[Generator], suite: str, seeds: int) -> Benchmark:
    """The benchmark, whose suite the model can draw, and which that many seeds are enough for."""
    benchmark = find_benchmark(request.benchmark, suite)
    if suite not in model.suites:
        raise HnError(
            f"The model {request.model!r} cannot draw the suite {suite!r}; its own: {model.suites[0]}."
        )
    if benchmark.whole_prompts and seeds < 2:
        raise HnError(f"{benchmark.name} compares the images of a prompt: give --seeds 2 or more.")
    return benchmark


def _chosen_methods(request: Request, model: type[Generator]) -> list[_Chosen]:
    """The methods, each once, as the user changed them; all of them can steer the model if they need to."""
    names = [text.partition(":")[0] for text in request.methods]
    if len(set(names)) < len(names):
        raise HnError("A method is named twice; run its variants in separate commands.")
    for name in names:
        if find("method", name).steers:
            refuse_steering(model, name)
    changes = _changes(request.changes, names)
    return [_chosen(text, changes) for text in request.methods]


def plan(request: Request, device: torch.device) -> tuple[list[Plan], list[Prompt], Benchmark]:
    """Check everything that the user typed, before anything is computed, written or downloaded.

    Raises:
        HnError: for the first thing that cannot be done.
    """
    model = find("model", request.model)
    refuse_offload(request.memory, device)
    if request.compiled:
        refuse_uncompilable(device)
    suite = request.suite or model.suites[0]
    first_seed, seeds = seed_range(request.seeds)
    benchmark = _fitting_benchmark(request, model, suite, seeds)
    chosen = _chosen_methods(request, model)
    rewards = reward_weights(request.rewards, model.default_rewards)
    prompts = spread(benchmark.prompts(suite), request.limit)
    common = RunSettings(
        model=request.model,
        method="",
        preset="",
        method_settings={},
        benchmark=request.benchmark,
        suite=suite,
        prompts=len(prompts),
        prompts_sha256=prompts_sha256(prompts),
        first_seed=first_seed,
        seeds=seeds,
        steps=request.steps or model.card.steps,
        rewards=rewards,
        batch=request.batch or model.card.batch,
        device=device.type,
        tiling=request.memory.tiling,
        compiled=request.compiled,
        weights=_files(model, rewards),
        judges=benchmark.identity(suite),
        versions=_versions(request, rewards),
    )
    return [each.planned(common, model) for each in chosen], prompts, benchmark


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
    )


def _advance(progress: Progress, task: TaskID, count: int) -> None:
    progress.advance(task, count)
    speed = progress.tasks[task].speed  # images a second, known from the second piece on
    words = "" if speed is None else f"{speed:.1f} images/s"
    made = speed is None or speed < 10_000  # which no method reaches
    progress.update(task, speed=words if made else "stored")


def workbench(
    request: Request, settings: RunSettings, benchmark: Benchmark, device: torch.device
) -> Workbench:
    """The models that all runs of a request share, `settings` being those of any of them."""
    return Workbench(
        request.model,
        settings.rewards,
        benchmark,
        settings.suite,
        device,
        request.memory,
        compiled=request.compiled,
    )


def jobs(request: Request, results: Path, workers: int = 1) -> list[Job]:
    """What the request asks for, one job a method, on models that they share; nothing is computed or written yet.

    Raises:
        HnError: for the first thing that cannot be done.
    """
    device = pick_device(request.device)
    plans, prompts, benchmark = plan(request, device)
    first = plans[0].settings
    bench = workbench(request, first, benchmark, device)
    return [
        Job(
            each.settings,
            prompts,
            bench,
            each.method,
            RunStore(results / "runs" / each.settings.run),
            workers,
        )
        for each in plans
    ]


def run(request: Request, results: Path, console: Console, workers: int = 1) -> list[StoredRun]:
    """Plan, and run what is not stored yet; one run a method."""
    todo = jobs(request, results)
    with crew(request, results, workers) as hands, _progress(console) as progress:
        total = len(todo[0].prompts) * todo[0].settings.seeds
        tasks = [progress.add_task(job.settings.method, total=total, speed="waiting") for job in todo]
        for job, task in zip(todo, tasks, strict=True):
            execute(job, partial(_advance, progress, task), hands(job))
    return [StoredRun(job.store) for job in todo]


def run_bench(request: Request, results: Path, workers: int = 1) -> None:
    """Run, and print and write the table, with other stored runs that compare."""
    console = Console()
    done = run(request, results, console, workers)
    publish(comparable(stored_runs(results), *done), results, console)
