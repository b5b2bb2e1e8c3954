"""What `hn budgets` writes: points of score against cost as CSV and figure, and which method wins at which budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from hypernoise.files import write_atomically
from hypernoise.tables import winners
from hypernoise.tables.cost_figure import figure
from hypernoise.tables.from_runs import notes
from hypernoise.tables.markdown import markdown
from hypernoise.tables.render import (
    LEGEND,
    MISSING,
    Cell,
    Column,
    Section,
    Sheet,
    estimate_cell,
    heading_of,
)
from hypernoise.tables.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from hypernoise.experiments.benchmark import Report
    from hypernoise.tables.cost import Comparison, Point
    from hypernoise.tables.table1 import Estimate

COLUMNS = (
    Column("Method", "Method", numeric=False),
    Column("Budget", "Budget"),
    Column("NFE", "NFE"),
    Column("Time (s)", "Sec."),
    Column("Score", "Score"),
    Column("Δ base", "Δ base"),
    Column("Pareto front by", "Front", numeric=False),
)
SHORT = {"seconds": "time", "nfe": "NFE"}
INTERVALS = ("low", "high", "above_base_low", "above_base_high")


def frame(compared: Comparison) -> pd.DataFrame:
    """One line a point, as the CSV has it: what the figure draws, unscaled."""
    rows = [_record(*pair) for pair in zip(compared.points, compared.above_base, strict=True)]
    table = pd.DataFrame(rows).astype({"budget": "Int64"} | dict.fromkeys(INTERVALS, "float64"))
    fronts = compared.fronts.items()
    return table.assign(**{f"on_front_{kind}": [p in best for p in compared.points] for kind, best in fronts})


def _record(point: Point, above: Estimate) -> dict[str, Any]:
    score = point.score
    return {
        "method": point.method,
        "budget": point.budget,
        "nfe": point.cost("nfe"),
        "seconds": point.cost("seconds"),
        "mean": score.value,
        "low": score.low,
        "high": score.high,
        "above_base": above.value,
        "above_base_low": above.low,
        "above_base_high": above.high,
        "images": len(point.run.records),
    }


def sheet(compared: Comparison, heading: str, report: Report) -> Sheet:
    """The printed table of all points."""
    lines = []
    for number, (point, above) in enumerate(zip(compared.points, compared.above_base, strict=True)):
        on = [SHORT[kind] for kind, best in compared.fronts.items() if point in best]
        lines.append(_line(point, above if number else None, ", ".join(on), report))
    title = f"{report.title.partition(' (')[0]} by cost"
    return Sheet(title, COLUMNS, (Section(heading, tuple(lines)),), (LEGEND, *_notes(compared.points)), {})


def _line(point: Point, above: Estimate | None, on: str, report: Report) -> tuple[Cell, ...]:
    form = f".{report.digits[0]}f"
    bold = above is not None and above.low is not None and above.low > 0
    return (
        Cell(point.method),
        Cell(MISSING if point.budget is None else str(point.budget)),
        Cell(f"{point.cost('nfe'):.4g}"),
        Cell(f"{point.cost('seconds'):.2g}"),
        estimate_cell(point.score, form, form, bold=bold, scale=report.scale),
        estimate_cell(above, f"+{form}", f"+{form}", scale=report.scale),
        Cell(on or MISSING),
    )


def _notes(points: Sequence[Point]) -> list[str]:
    """The notes of every method's dearest run, and the failures of the others."""
    dearest = {point.method: point for point in points}
    others = [point for point in points if point.run.failures and point is not dearest[point.method]]
    failed = [f"{point.name}: {point.run.failures} images failed and count as wrong." for point in others]
    return [*notes([point.run for point in dearest.values()], own_clocks=True), *failed]


def publish_budgets(compared: Comparison, results: Path, console: Console) -> None:
    """Print which method wins, and write `budgets-<benchmark>` as `.csv`, `.md` and `.png` below `results/<model>/`."""
    base = compared.points[0].run
    report, model = base.benchmark.report, str(base.settings["model"])
    heading = heading_of(model)
    sheets = sheet(compared, heading, report), winners.sheet(compared, heading, report)
    place = results / model / f"budgets-{base.benchmark.name}"
    write_atomically(place.with_suffix(".csv"), frame(compared).round(5).to_csv(index=False).encode())
    write_atomically(place.with_suffix(".md"), "\n".join(map(markdown, sheets)).encode())
    write_atomically(place.with_suffix(".png"), figure(compared, report))
    for each in sheets:
        console.print(terminal(each, console.width))
        console.print()
    console.print(f"Written to {place}.csv, .md and .png", style="dim", highlight=False)
