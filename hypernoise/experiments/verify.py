"""`hn verify`: whether a stored run is still what was computed, file by file, and whether its judge still says so."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from hypernoise.errors import HnError
from hypernoise.experiments.bench import find_benchmark
from hypernoise.experiments.benchmark import spread
from hypernoise.experiments.environment import pick_device
from hypernoise.experiments.plan import RunSettings, pieces, prompts_sha256
from hypernoise.experiments.store import KINDS, DamagedError, RunStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch

    from hypernoise.experiments.benchmark import Benchmark, Prompt
    from hypernoise.experiments.plan import Piece
    from hypernoise.experiments.store import Record

TOLERANCE = 1e-3
"""How far a score may be off: another processor rounds differently."""


def verify_run(name: str, images: int, device: str, results: Path) -> None:
    """Check every file of a run, and judge about that many of its images again.

    Raises:
        HnError: if there is no such run, or anything differs; each finding is printed first.
    """
    place = pick_device(device)
    store = _find(results, name)
    settings = _settings(store)
    benchmark = find_benchmark(settings.benchmark, settings.suite)
    prompts = spread(benchmark.prompts(settings.suite), settings.prompts)
    _check_prompts(settings, prompts)
    if images:
        _check_judges(settings, benchmark)
    planned = pieces(prompts, settings, whole_prompts=benchmark.whole_prompts)
    checks = {piece.number: list(_piece_findings(store, piece, prompts)) for piece in planned}
    whole = [piece for piece in planned if not checks[piece.number]]
    again = _some(whole, images)
    findings = [finding for found in checks.values() for finding in found]
    findings += _strangers(store, planned)
    findings += _judged_otherwise(store, again, prompts, benchmark, settings.suite, place)
    for finding in findings:
        typer.echo(finding)
    if findings:
        raise HnError(
            f"The run {store.folder.name} is not what was computed: {len(findings)} findings, above."
        )
    judged = sum(len(piece.samples) for piece in again)
    typer.echo(
        f"{store.folder.name}: {settings.prompts * settings.seeds} images, their records and costs are as they "
        f"were computed; {judged} of them, judged again, score the same."
    )


def _find(results: Path, name: str) -> RunStore:
    """The run of that name, or the only one whose name begins so, whatever state it is in."""
    runs = results / "runs"
    fitting = sorted(path for path in runs.glob("*") if path.is_dir() and path.name.startswith(name))
    exact = [path for path in fitting if path.name == name]
    if not fitting:
        raise HnError(f"In {runs} no run's name begins with {name!r}; `hn ls runs` lists them.")
    if len(fitting) > 1 and not exact:
        names = ", ".join(path.name for path in fitting)
        raise HnError(f"{name!r} is the beginning of several runs: give more of one of {names}.")
    return RunStore((exact or fitting)[0])


def _settings(store: RunStore) -> RunSettings:
    """What was run, if its digest is the one in the run's name."""
    try:
        manifest = store.manifest()
    except DamagedError as damage:
        raise HnError(f"{damage.finding}.") from None
    stored: dict[str, Any] = manifest.get("settings", {})
    known = stored.keys() == {field.name for field in fields(RunSettings)}
    if not known or not RunSettings(**stored).run == manifest.get("run") == store.folder.name:
        raise HnError(f"{store.manifest_path} describes another run than {store.folder.name}.")
    return RunSettings(**stored)


def _check_prompts(settings: RunSettings, prompts: Sequence[Prompt]) -> None:
    if prompts_sha256(prompts) != settings.prompts_sha256:
        raise HnError(
            f"The suite {settings.suite} of {settings.benchmark} has other prompts here than the run had, "
            "so its records cannot be checked; use the version of hypernoise that it was made with."
        )


def _check_judges(settings: RunSettings, benchmark: Benchmark) -> None:
    if benchmark.identity(settings.suite) != settings.judges:
        raise HnError(
            f"The judges of {settings.benchmark} are others here than the run had, so no image can be judged again; "
            "use the version of hypernoise that it was made with, or --images 0."
        )


def _piece_findings(store: RunStore, piece: Piece, prompts: Sequence[Prompt]) -> Iterator[str]:
    """What is wrong with a piece's costs and records, and with the images that its records name."""
    rows: dict[str, list[Record]] = {}
    for kind in KINDS:
        try:
            rows[kind] = store.rows(kind, piece)
        except DamagedError as damage:
            yield damage.finding
    by_index = {prompt.index: prompt for prompt in prompts}
    for record in rows.get("records", ()):
        prompt = by_index[record["prompt_index"]]
        if (record["prompt"], record["task"]) != (prompt.text, prompt.task):
            yield f"{store.piece_path('records', piece.number)} names another prompt than {prompt.text!r}"
        try:
            store.read_image(record)
        except DamagedError as damage:
            yield damage.finding


def _strangers(store: RunStore, planned: Sequence[Piece]) -> list[str]:
    """Files among the run's that no piece of it wrote."""
    expected = {store.piece_path(kind, piece.number) for kind in KINDS for piece in planned}
    expected |= {
        store.image_path(sample.prompt_index, sample.seed) for piece in planned for sample in piece.samples
    }
    found = {path for kind in (*KINDS, "images") for path in (store.folder / kind).rglob("*")}
    return [f"{path} does not belong to the run" for path in sorted(found - expected) if not path.is_dir()]


def _some(whole: Sequence[Piece], images: int) -> list[Piece]:
    """Pieces with at least that many images, if there are as many, spread over the run."""
    if not whole or not images:
        return []
    count = min(len(whole), -(-images // len(whole[0].samples)))
    return [whole[number * len(whole) // count] for number in range(count)]


def _judged_otherwise(
    store: RunStore,
    again: Sequence[Piece],
    prompts: Sequence[Prompt],
    benchmark: Benchmark,
    suite: str,
    device: torch.device,
) -> Iterator[str]:
    """Records whose score is not what the judge says of their image; whole pieces, as they were judged at first."""
    if not again:
        return
    judge = benchmark.judge(suite, device)
    by_index = {prompt.index: prompt for prompt in prompts}
    for piece in again:
        records = store.rows("records", piece)
        verdicts = judge(
            [store.read_image(record) for record in records],
            [by_index[record["prompt_index"]] for record in records],
        )
        for record, verdict in zip(records, verdicts, strict=True):
            failed = record["reason"].startswith("failed:")  # an image that was not finite when it was made
            if not failed and abs(record["score"] - verdict.score) > TOLERANCE:
                yield (
                    f"{store.piece_path('records', piece.number)} says {record['score']:g} of prompt "
                    f"{record['prompt_index']}, seed {record['seed']}, and the judge {verdict.score:g}"
                )
