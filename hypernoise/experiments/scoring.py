"""`hn score`: a benchmark's scores for a folder of images in its published layout, whoever made them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from hypernoise.errors import HnError
from hypernoise.experiments.bench import find_benchmark
from hypernoise.experiments.environment import pick_device
from hypernoise.experiments.layout import ImageFile, inspect, read
from hypernoise.experiments.plan import prompts_sha256, seed_range
from hypernoise.experiments.statistics import bootstrap_interval, smallest_detectable_difference
from hypernoise.files import write_atomically
from hypernoise.tables.from_runs import known
from hypernoise.tables.markdown import markdown
from hypernoise.tables.reference import paper_rows
from hypernoise.tables.render import arrange
from hypernoise.tables.table1 import Row
from hypernoise.tables.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import torch

    from hypernoise.experiments.benchmark import Benchmark, Prompt
    from hypernoise.tables.render import Sheet

LISTED = 10
"""Bad files that a refusal names."""


@dataclass(frozen=True)
class ScoreRequest:
    """What the user asked for, as typed."""

    benchmark: str
    images: Path
    suite: str
    seeds: str
    batch: int
    device: str
    allow_missing: bool


def run_score(request: ScoreRequest, results: Path) -> None:
    """Check the folder, judge its images, print the table, and write it and one record an image.

    The files are `records.jsonl` and `table.md` below `results/scored/<folder>-<benchmark>-<suite>/`.

    Raises:
        HnError: if the folder holds other images than the layout has, or a judge cannot be had.
    """
    benchmark, seeds = find_benchmark(request.benchmark, request.suite), seed_range(request.seeds)[1]
    if not request.images.is_dir():
        raise HnError(f"There is no folder {request.images}; give the one that holds the images.")
    prompts = benchmark.prompts(request.suite)
    files = benchmark.layout(prompts, seeds)
    _check_texts(request.images, benchmark.layout_texts(prompts))
    bad = _inspected(request, files)
    benchmark.identity(request.suite)
    records = _judged(request, benchmark, [file for file in files if file.path not in bad])
    left_out = sum(len(file.seeds) for file in files if file.path in bad)
    sheet = _sheet(request, benchmark, records, prompts, seeds, left_out)
    place = results / "scored" / f"{request.images.resolve().name}-{benchmark.name}-{request.suite}"
    lines = "".join(json.dumps(record, sort_keys=True) + "\n" for record in records)
    write_atomically(place / "records.jsonl", lines.encode())
    write_atomically(place / "table.md", markdown(sheet).encode())
    console = Console()
    console.print(terminal(sheet, console.width))
    console.print(f"Written to {place}/table.md and records.jsonl", style="dim", highlight=False)


def _check_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Refuse images that were made for other prompts, as far as the files beside them tell."""
    for path, expected in texts.items():
        found = folder / path
        if found.exists() and found.read_text(errors="replace").strip() != expected.strip():
            raise HnError(
                f"{found} is not this suite's, so its images were made for another prompt; see --suite."
            )


def _inspected(request: ScoreRequest, files: Sequence[ImageFile]) -> dict[str, str]:
    """The files that are left out, with the reasons; none unless the user allows it."""
    found = inspect(request.images, files)
    if found.unexpected:
        raise HnError(
            f"{request.images} holds {len(found.unexpected)} images that no prompt asks for, for one "
            f"{found.unexpected[0]}; take them away, or say how many images a prompt has with --seeds."
        )
    if len(found.bad) == len(files):
        raise HnError(f"{request.images} holds no image of this layout; {files[0].path} would be the first.")
    if found.bad and not request.allow_missing:
        named = "; ".join(f"{path}: {reason}" for path, reason in list(found.bad.items())[:LISTED])
        rest = f" and {len(found.bad) - LISTED} more" if len(found.bad) > LISTED else ""
        raise HnError(
            f"{len(found.bad)} of {len(files)} images cannot be scored ({named}{rest}); make them again, or leave "
            "them out with --allow-missing."
        )
    return found.bad


def _batches(files: Sequence[ImageFile], size: int, *, whole_prompts: bool) -> Iterator[list[ImageFile]]:
    """Files of about `size` images together; a prompt's stay together where they must."""
    batch: list[ImageFile] = []
    for file in files:
        full = sum(len(each.seeds) for each in batch) >= size
        if full and not (whole_prompts and batch[-1].prompt == file.prompt):
            yield batch
            batch = []
        batch.append(file)
    yield batch


def _judged(request: ScoreRequest, benchmark: Benchmark, files: Sequence[ImageFile]) -> list[dict[str, Any]]:
    device: torch.device = pick_device(request.device)
    judge = benchmark.judge(request.suite, device)
    records = []
    batches = list(_batches(files, request.batch, whole_prompts=benchmark.whole_prompts))
    terminal = Console(stderr=True)
    for batch in track(
        batches, "judging", console=terminal, transient=True, disable=not terminal.is_terminal
    ):
        samples = [(file.prompt, seed) for file in batch for seed in file.seeds]
        images = [image for file in batch for image in read(request.images, file)]
        try:
            verdicts = judge(images, [prompt for prompt, _ in samples])
        except ValueError as error:
            raise HnError(f"The judge of {benchmark.name} cannot read these images: {error}.") from None
        for (prompt, seed), verdict in zip(samples, verdicts, strict=True):
            key = {"prompt_index": prompt.index, "seed": seed, "prompt": prompt.text, "task": prompt.task}
            records.append(key | asdict(verdict))
    return records


def _sheet(
    request: ScoreRequest,
    benchmark: Benchmark,
    records: Sequence[dict[str, Any]],
    prompts: Sequence[Prompt],
    seeds: int,
    left_out: int,
) -> Sheet:
    scores, name = benchmark.scores(records), request.images.resolve().name
    row = Row(
        model=f"shapes-{name}" if request.suite == "shapes" else name,
        method="images",
        steps=None,
        params_b=None,
        seconds=None,
        nfe=None,
        mean=known(bootstrap_interval(scores).overall),
        delta=None,
        tasks={column: known(estimate) for column, estimate in benchmark.columns(records).items()},
        prompts=len(prompts),
        seeds=seeds,
        p_value=None,
    )
    report = benchmark.report
    smallest = smallest_detectable_difference(scores, scores, paired=False) * report.scale
    notes = [
        f"{len(prompts)} prompts × {seeds} images, suite {request.suite}, prompt set {prompts_sha256(prompts)[:8]}.",
        *benchmark.remarks(request.suite, records),
        f"Smallest difference to another folder that could be detected, unpaired: {smallest:.{report.digits[0]}f} "
        "(80% power).",
    ]
    if left_out:
        notes.append(
            f"{left_out} of {len(prompts) * seeds} images were missing or unreadable and are left out."
        )
    return arrange([row], paper_rows(report.table), notes, report)
