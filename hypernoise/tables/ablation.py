"""The table of `hn time --ablate`: how many times as long the same work takes without an optimization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hypernoise.tables.render import Cell, Column, Section, Sheet, heading_of
from hypernoise.tables.timing import publish_times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from hypernoise.experiments.ablation import Ablated
    from hypernoise.tables.timing import Timing

COLUMNS = (
    Column("Optimization", "Optimization", numeric=False),
    Column("Method", "Method", numeric=False),
    Column("Seconds without", "Without"),
    Column("Seconds with", "With"),
    Column("Without / with", "Ratio"),
)
NOTES = (
    "Each is switched off alone, but for the published structure, where the three above it are. Seconds an image, "
    "median over interleaved rounds; ratio: median [quartiles] of the ratios within the rounds.",
    "Published structure: one sample at a time, the generator's and the rewards' text read at every call, every reward "
    "read back. Training step: of an untrained adapter, a batch of samples. Judging: the judge's time alone. Whole "
    "bench: generating, rewards, judging and storing.",
)


def frame(ablated: Sequence[Ablated]) -> pd.DataFrame:
    """One line an optimization and method, as the CSV has it; `ratio_low` and `ratio_high` are quartiles."""
    return pd.DataFrame([_record(each) for each in ablated])


def _record(each: Ablated) -> dict[str, Any]:
    low, ratio, high = np.quantile(np.divide(each.off, each.on), [0.25, 0.5, 0.75])
    return {
        "optimization": each.optimization,
        "method": each.method,
        "seconds_off": np.median(each.off),
        "seconds_on": np.median(each.on),
        "ratio": ratio,
        "ratio_low": low,
        "ratio_high": high,
    }


def _line(record: Mapping[Any, Any]) -> tuple[Cell, ...]:
    return (
        Cell(record["optimization"]),
        Cell(record["method"]),
        Cell(f"{record['seconds_off']:.3g}"),
        Cell(f"{record['seconds_on']:.3g}"),
        Cell(f"{record['ratio']:.2f}", f"[{record['ratio_low']:.2f}, {record['ratio_high']:.2f}]"),
    )


def publish_ablation(
    ablated: Sequence[Ablated], batch: int, timing: Timing, results: Path, console: Console
) -> None:
    """Print the table and write `ablation.csv` and `ablation.md` below `results/<model>/`; of `timing` where it was."""
    table = frame(ablated)
    lines = tuple(_line(record) for record in table.to_dict("records"))
    title, notes = f"What optimizations gain, {timing.model}", (*NOTES, f"Batch {batch}. {timing.where}")
    sheet = Sheet(title, COLUMNS, (Section(heading_of(timing.model), lines),), notes, {})
    table = table.assign(model=timing.model, batch=batch, **timing.circumstances)
    publish_times("ablation", results / timing.model, table, sheet, console)
