"""Tables 2 and 8: the methods' scores by the number of the generator's steps, and a figure of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from hypernoise.files import write_atomically
from hypernoise.tables import from_runs
from hypernoise.tables.markdown import markdown
from hypernoise.tables.plots import MARKERS, drawing
from hypernoise.tables.reference import paper_rows
from hypernoise.tables.render import (
    EMBEDDED,
    MEASURED,
    MISSING,
    PAPER,
    Cell,
    Column,
    Section,
    Sheet,
    estimate_cell,
)
from hypernoise.tables.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from hypernoise.tables.from_runs import StoredRun
    from hypernoise.tables.table1 import Row

COLUMNS = (
    Column("Model", "Model", numeric=False),
    Column("Steps", "Steps"),
    Column("Method", "Method", numeric=False),
    Column("NFE", "NFE"),
    Column("GenEval mean ↑", "Mean ↑"),
    Column("Δ base", "Δ base"),
)
LEGEND = (
    "Measured: value [95% interval]. Δ base: paired difference to base with the same number of steps, prompts and "
    "initial noise. Bold: that difference is positive and its interval leaves out 0."
)


@dataclass(frozen=True)
class StepsTable:
    """Rows of runs of several numbers of steps, each with the same methods."""

    runs: Mapping[int, Sequence[StoredRun]]

    @property
    def rows(self) -> list[Row]:
        """Our rows, steps by steps."""
        return [row for runs in self.runs.values() for row in from_runs.rows(runs)]

    def frame(self) -> pd.DataFrame:
        """One line a row, as the CSV has it."""
        return pd.DataFrame(
            [
                {
                    "model": row.model,
                    "method": row.method,
                    "steps": row.steps,
                    "nfe": row.nfe,
                    "mean": row.mean.value,
                    "low": row.mean.low,
                    "high": row.mean.high,
                    "above_base": row.delta and row.delta.value,
                    "above_base_low": row.delta and row.delta.low,
                    "above_base_high": row.delta and row.delta.high,
                    "seconds": row.seconds,
                    "prompts": row.prompts,
                    "seeds": row.seeds,
                }
                for row in self.rows
            ]
        )

    def sheet(self) -> Sheet:
        """The printed table, the paper's rows below ours."""
        rows = self.rows
        heading = EMBEDDED if rows[0].model == "shapes" else MEASURED
        first = next(iter(self.runs.values()))
        notes = dict.fromkeys(note for runs in self.runs.values() for note in from_runs.notes(runs)[:1])
        return Sheet(
            "GenEval by number of steps (Tables 2 and 8)",
            COLUMNS,
            (
                Section(heading, tuple(_measured(row) for row in rows)),
                Section(
                    PAPER,
                    tuple(_quoted(record) for record in paper_rows(8).to_dict("records")),
                    quoted=True,
                ),
            ),
            (LEGEND, *notes, from_runs.notes(first)[-1]),
            {},
        )

    def figure(self) -> bytes:
        """Score against steps, logarithmic, with 95% intervals, as PNG."""
        frame = self.frame()
        with drawing() as picture:
            for marker, (method, group) in zip(MARKERS, frame.groupby("method", sort=False), strict=False):
                errors = [group["mean"] - group["low"], group["high"] - group["mean"]]
                picture.axes.errorbar(
                    group["steps"], group["mean"], errors, marker=marker, capsize=3, label=method
                )
            ticks = sorted(set(frame["steps"]))
            picture.axes.set_xscale("log")
            picture.axes.set_xticks(ticks, [str(tick) for tick in ticks])
            picture.axes.minorticks_off()
            picture.axes.set(xlabel="steps of the generator", ylabel="GenEval score")
            picture.axes.legend(frameon=False)
            return picture.png()


def _measured(row: Row) -> tuple[Cell, ...]:
    bold = row.delta is not None and row.delta.low is not None and row.delta.low > 0
    return (
        Cell(row.model),
        Cell(str(row.steps)),
        Cell(row.method),
        Cell(f"{row.nfe:g}"),
        estimate_cell(row.mean, ".3f", ".3f", bold=bold),
        estimate_cell(row.delta, "+.3f", "+.3f"),
    )


def _quoted(record: Mapping[Any, Any]) -> tuple[Cell, ...]:
    return (
        *(Cell(str(record[name])) for name in ("model", "steps", "method", "nfe")),
        Cell(f"{record['mean']:.2f}"),
        Cell(MISSING),
    )


def publish_steps(table: StepsTable, results: Path, console: Console) -> None:
    """Print the table and write `table8.csv`, `.md` and `.png` below `results/<model>/`."""
    folder = results / table.rows[0].model
    sheet = table.sheet()
    write_atomically(folder / "table8.csv", table.frame().round(5).to_csv(index=False).encode())
    write_atomically(folder / "table8.md", markdown(sheet).encode())
    write_atomically(folder / "table8.png", table.figure())
    console.print(terminal(sheet, console.width))
    console.print(f"Written to {folder}/table8.csv, .md and .png", style="dim", highlight=False)
