"""Tables 2, 8, 9 and 10: the methods' scores by the number of steps and by the adapter's rank, and a figure of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from hypernoise.files import write_atomically
from hypernoise.tables import from_runs
from hypernoise.tables.markdown import markdown
from hypernoise.tables.plots import MARKERS, drawing
from hypernoise.tables.reference import paper_rows
from hypernoise.tables.render import (
    MISSING,
    PAPER,
    Cell,
    Column,
    Section,
    Sheet,
    estimate_cell,
    heading_of,
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
    Column("LoRA rank", "Rank"),
    Column("NFE", "NFE"),
    Column("GenEval mean ↑", "Mean ↑"),
    Column("Δ base", "Δ base"),
)
RANKED = {"hypernoise": 9, "lora-finetune": 10}
"""The table of each method's ranks."""

LEGEND = (
    "Measured: value [95% interval]. Δ base: paired difference to base with the same number of steps, prompts and "
    "initial noise. Bold: that difference is positive and its interval leaves out 0."
)


@dataclass(frozen=True)
class Sweep:
    """A table of many runs, in groups that have the number of steps and the base run in common.

    `number` and `title` are the paper's; the figure draws the score against `axis`, a column of the frame.
    """

    number: int
    title: str
    axis: str
    axis_label: str
    groups: Sequence[Sequence[StoredRun]]

    @cached_property
    def lines(self) -> list[tuple[Row, int | None]]:
        """Our rows with the ranks of their adapters, group by group."""
        ranks = [run.settings["method_settings"].get("lora_rank") for runs in self.groups for run in runs]
        return list(zip([row for runs in self.groups for row in from_runs.rows(runs)], ranks, strict=True))

    @property
    def model(self) -> str:
        """The model of all runs."""
        return self.lines[0][0].model

    def frame(self) -> pd.DataFrame:
        """One line a row, as the CSV has it."""
        frame = pd.DataFrame([_record(row, rank) for row, rank in self.lines])
        return frame.astype({"lora_rank": "Int64"})

    def sheet(self) -> Sheet:
        """The printed table, the paper's rows below ours."""
        notes = dict.fromkeys(note for runs in self.groups for note in from_runs.notes(runs)[:1])
        quoted = tuple(_quoted(record) for record in paper_rows(self.number).to_dict("records"))
        return Sheet(
            self.title,
            COLUMNS,
            (
                Section(heading_of(self.model), tuple(_measured(row, rank) for row, rank in self.lines)),
                Section(PAPER, quoted, quoted=True),
            ),
            (LEGEND, *notes, from_runs.notes(self.groups[0])[-1]),
            {},
        )

    def figure(self) -> bytes:
        """Score against the axis, logarithmic, with 95% intervals, as PNG; what has no place on it as a level."""
        frame = self.frame()
        names = (
            frame["method"]
            if self.axis == "steps"
            else frame["method"] + ", steps: " + frame["steps"].astype(str)
        )
        with drawing() as picture:
            for index, (name, group) in enumerate(frame.groupby(names, sort=False)):
                if group[self.axis].isna().all():
                    picture.axes.axhline(group["mean"].item(), color=f"C{index}", linestyle="--", label=name)
                    continue
                errors = [group["mean"] - group["low"], group["high"] - group["mean"]]
                picture.axes.errorbar(
                    group[self.axis].astype(int),
                    group["mean"],
                    errors,
                    color=f"C{index}",
                    marker=MARKERS[index % len(MARKERS)],
                    capsize=3,
                    label=name,
                )
            ticks = sorted(frame[self.axis].dropna().unique())
            picture.axes.set_xscale("log")
            picture.axes.set_xticks(ticks, [str(tick) for tick in ticks])
            picture.axes.minorticks_off()
            picture.axes.set(xlabel=self.axis_label, ylabel="GenEval score")
            picture.axes.legend(frameon=False)
            return picture.png()


def steps_sweep(groups: Sequence[Sequence[StoredRun]]) -> Sweep:
    """Table 8, which holds Table 2."""
    title = "GenEval by number of steps (Tables 2 and 8)"
    return Sweep(8, title, "steps", "steps of the generator", groups)


def rank_sweep(method: str, groups: Sequence[Sequence[StoredRun]]) -> Sweep:
    """Table 9 or 10, as `RANKED` has it for the method."""
    title = f"GenEval by LoRA rank, {method} (Table {RANKED[method]})"
    return Sweep(RANKED[method], title, "lora_rank", "LoRA rank", groups)


def _record(row: Row, rank: int | None) -> dict[str, Any]:
    return {
        "model": row.model,
        "method": row.method,
        "steps": row.steps,
        "lora_rank": rank,
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


def _measured(row: Row, rank: int | None) -> tuple[Cell, ...]:
    bold = row.delta is not None and row.delta.low is not None and row.delta.low > 0
    return (
        Cell(row.model),
        Cell(str(row.steps)),
        Cell(row.method),
        Cell(MISSING if rank is None else str(rank)),
        Cell(f"{row.nfe:g}"),
        estimate_cell(row.mean, ".3f", ".3f", bold=bold),
        estimate_cell(row.delta, "+.3f", "+.3f"),
    )


def _quoted(record: Mapping[Any, Any]) -> tuple[Cell, ...]:
    rank = record.get("lora_rank")
    return (
        *(Cell(str(record[name])) for name in ("model", "steps", "method")),
        Cell(MISSING if pd.isna(rank) else f"{rank:g}"),
        Cell(str(record["nfe"])),
        Cell(f"{record['mean']:.2f}"),
        Cell(MISSING),
    )


def publish_sweep(sweep: Sweep, results: Path, console: Console) -> None:
    """Print the table and write `table<n>.csv`, `.md` and `.png` below `results/<model>/`."""
    place, sheet = results / sweep.model / f"table{sweep.number}", sweep.sheet()
    write_atomically(place.with_suffix(".csv"), sweep.frame().round(5).to_csv(index=False).encode())
    write_atomically(place.with_suffix(".md"), markdown(sheet).encode())
    write_atomically(place.with_suffix(".png"), sweep.figure())
    console.print(terminal(sheet, console.width))
    console.print(f"Written to {place}.csv, .md and .png", style="dim", highlight=False)
