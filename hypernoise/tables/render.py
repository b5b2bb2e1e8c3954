"""What a printed benchmark table says, before any format: sections of lines of cells, and the notes below them.

`markdown.py`, `latex.py`, `html.py` and `terminal.py` print a `Sheet`; none of them decides what is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernoise.experiments.benchmark import Report
    from hypernoise.tables.table1 import Estimate, Row

MISSING = "–"
CHANGED = ", changed"
"""Ends the name of a preset of which the user changed a setting."""
MEASURED = "Measured here"
EMBEDDED = "Embedded world `shapes` (a laboratory, not the paper's models)"
PAPER = "Paper (reference, not measured here)"
LEGEND = (
    "Measured: value [95% interval]. Δ base: paired difference to the same model's base on the same prompts"
    " and initial noise. Bold: that difference is positive and its interval leaves out 0."
)


@dataclass(frozen=True)
class Column:
    """A column's headings, and whether it gives way where the page is narrow."""

    heading: str
    short: str
    numeric: bool = True
    optional: bool = False


def columns_of(report: Report) -> tuple[Column, ...]:
    """The columns of a benchmark's table."""
    return (
        Column("Model", "Model", numeric=False),
        Column("Method", "Method", numeric=False),
        Column("Params (B)", "Par. B", optional=True),
        Column("Time (s)", "Sec."),
        Column("NFE", "NFE"),
        Column(report.overall.full, report.overall.short),
        *(Column(each.full, each.short, optional=True) for each in report.columns.values()),
        Column("Δ base", "Δ base"),
    )


@dataclass(frozen=True)
class Cell:
    """A printed value, its interval, and the marker of its footnote."""

    text: str
    interval: str = ""
    marker: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Section:
    """Lines of one origin. Numbers that are only quoted are set apart and never bold."""

    heading: str
    lines: tuple[tuple[Cell, ...], ...]
    quoted: bool = False

    def __post_init__(self) -> None:
        if self.quoted and any(cell.bold for line in self.lines for cell in line):
            raise ValueError("a quoted number is never bold")


@dataclass(frozen=True)
class Sheet:
    """A table ready to be printed in any format."""

    title: str
    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    footnotes: Mapping[str, str]


def arrange(rows: Sequence[Row], paper: pd.DataFrame, notes: Sequence[str], report: Report) -> Sheet:
    """Lay out our rows with the paper's below them.

    Args:
        rows: What was measured, in the order to print.
        paper: The paper's rows, see `reference.paper_rows`; may be empty.
        notes: Printed below the table: n, seeds, smallest detectable difference, which variants ran.
        report: The benchmark's headings and units.
    """
    quoted: list[dict[Any, Any]] = paper.fillna({"footnote": ""}).to_dict("records")
    texts = dict.fromkeys(record["footnote"] for record in quoted if record["footnote"])
    markers = {text: chr(ord("a") + index) for index, text in enumerate(texts)}
    sections = (
        Section(MEASURED, tuple(_measured(row, report) for row in rows if not is_embedded(row.model))),
        Section(EMBEDDED, tuple(_measured(row, report) for row in rows if is_embedded(row.model))),
        Section(PAPER, tuple(_quoted(record, markers, report) for record in quoted), quoted=True),
    )
    return Sheet(
        title=report.title,
        columns=columns_of(report),
        sections=tuple(section for section in sections if section.lines),
        notes=(*([LEGEND] if rows else []), *notes),
        footnotes={marker: text for text, marker in markers.items()},
    )


def heading_of(model: str) -> str:
    """The heading of a section of what was measured with a model."""
    return EMBEDDED if is_embedded(model) else MEASURED


def is_embedded(model: str) -> bool:
    """Whether a model belongs to the embedded world."""
    return model == "shapes" or model.startswith("shapes-")


def _measured(row: Row, report: Report) -> tuple[Cell, ...]:
    # Methods are compared with base, not with each other, so the best of them is not singled out:
    # all that are told apart from base are bold together.
    bold = row.delta is not None and row.delta.low is not None and row.delta.low > 0
    fine, coarse = report.digits

    def cell(estimate: Estimate | None, value: str, ends: str, *, bold: bool = False) -> Cell:
        return estimate_cell(estimate, value, ends, bold=bold, scale=report.scale)

    return (
        Cell(_model(row.model, row.steps)),
        Cell(row.method),
        Cell(_amount(row.params_b)),
        Cell(_amount(row.seconds)),
        Cell(_number(row.nfe, ".4g")),
        cell(row.mean, f".{fine}f", f".{coarse}f", bold=bold),
        *(cell(row.tasks.get(name), f".{coarse}f", f".{coarse}f") for name in report.columns),
        cell(row.delta, f"+.{fine}f", f"+.{fine}f"),
    )


def _quoted(record: Mapping[Any, Any], markers: Mapping[str, str], report: Report) -> tuple[Cell, ...]:
    return (
        Cell(_model(record["model"], record["steps"])),
        Cell(record["method"], marker=markers.get(record["footnote"], "")),
        Cell(_amount(record.get("params_b"))),
        Cell(_amount(record.get("seconds"))),
        Cell(_number(record.get("nfe"), "g")),
        *(Cell(_number(record.get(name), f".{report.digits[1]}f")) for name in ("mean", *report.columns)),
        Cell(MISSING),
    )


def _model(name: str, steps: int | None) -> str:
    return name if steps is None or pd.isna(steps) or steps == 1 else f"{name} ({steps}-step)"


def estimate_cell(
    estimate: Estimate | None, value: str, ends: str, *, bold: bool = False, scale: float = 1
) -> Cell:
    """A measured value and its interval in these formats; a dash for what was not measured."""
    if estimate is None or isnan(estimate.value):
        return Cell(MISSING)
    low, high = (_number(end if end is None else end * scale, ends) for end in (estimate.low, estimate.high))
    interval = "" if MISSING in (low, high) else f"[{low}, {high}]"
    return Cell(_number(estimate.value * scale, value), interval, bold=bold)


def _amount(value: float | None) -> str:
    """One decimal as the paper prints them; two digits below 1."""
    return _number(value, ".1f" if value is None or value >= 1 else ".2g")


def _number(value: float | None, form: str) -> str:
    # The minus sign, not the hyphen: it is as wide as the plus that it stands below.
    return MISSING if value is None or isnan(value) else format(value, form).replace("-", "−")
