"""The table of `hn time`: seconds an image with their spread, and as multiples of base's, for every batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hypernoise.files import write_atomically
from hypernoise.tables.markdown import markdown
from hypernoise.tables.render import EMBEDDED, MEASURED, MISSING, Cell, Column, Section, Sheet
from hypernoise.tables.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from hypernoise.experiments.timing import Timed

COLUMNS = (
    Column("Method", "Method", numeric=False),
    Column("Batch", "Batch"),
    Column("Seconds an image", "Sec."),
    Column("× base", "× base"),
    Column("× as published", "× publ.", optional=True),
    Column("NFE", "NFE"),
    Column("Peak memory (MB)", "Peak MB"),
)
FAIRNESS = (
    "Inside the clock: encoding of prompts by the generator and the rewards, the method, decoding; not: loading, "
    "judging, PNG. Rounds are interleaved (A B C A B C) after one that does not count; median [quartiles].",
    "× base: the median over rounds of the ratio to base's time in the same round and at the same batch size.",
    "× as published: how many times as fast it is as the same method in the structure of published loops: one sample "
    "at a time, generator's and rewards' text read at every call, every reward read back.",
    "Peak memory: the process's resident memory on a CPU, what torch allocated on a GPU.",
)


@dataclass(frozen=True)
class Times:
    """What was timed on a machine; the first method is base."""

    model: str
    steps: int
    timed: Sequence[Timed]
    machine: Mapping[str, Any]

    def frame(self) -> pd.DataFrame:
        """One line a method and batch size, as the CSV has it."""
        return pd.DataFrame([self._record(each) for each in self.timed])

    def _record(self, each: Timed) -> dict[str, Any]:
        low, median, high = np.quantile(each.seconds, [0.25, 0.5, 0.75])
        return {
            "model": self.model,
            "steps": self.steps,
            "method": each.method,
            "preset": each.preset,
            "structure": "published" if each.published else "ours",
            "batch": each.batch,
            "seconds": median,
            "seconds_low": low,
            "seconds_high": high,
            "times_base": self._multiple(each, "base", each.batch, published=each.published),
            "times_published": 1 / self._multiple(each, each.method, 1, published=True),
            "nfe": each.nfe,
            "peak_memory_mb": each.megabytes,
            "rounds": len(each.seconds),
        }

    def _multiple(self, each: Timed, method: str, batch: int, *, published: bool) -> float:
        """Median over rounds of the ratio to another time; not a number where that was not measured."""
        for other in self.timed:
            if (other.method, other.batch, other.published) == (method, batch, published):
                return float(np.median(np.divide(each.seconds, other.seconds)))
        return float("nan")

    def sheet(self) -> Sheet:
        """The printed table, with the machine in its heading."""
        heading = EMBEDDED if self.model == "shapes" else MEASURED
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        frame = self.frame()
        notes = (*FAIRNESS, f"{frame['rounds'].iloc[0]} rounds, steps: {self.steps}. Machine: {facts}.")
        lines = tuple(_line(record) for record in frame.to_dict("records"))
        return Sheet(f"Time an image takes, {self.model}", COLUMNS, (Section(heading, lines),), notes, {})


def _line(record: Mapping[Any, Any]) -> tuple[Cell, ...]:
    peak = record["peak_memory_mb"]
    return (
        Cell(record["method"] + (", as published" if record["structure"] == "published" else "")),
        Cell(str(record["batch"])),
        Cell(f"{record['seconds']:.3g}", f"[{record['seconds_low']:.3g}, {record['seconds_high']:.3g}]"),
        Cell(f"{record['times_base']:.2f}"),
        Cell(MISSING if pd.isna(record["times_published"]) else f"{record['times_published']:.2f}"),
        Cell(str(record["nfe"])),
        Cell(MISSING if pd.isna(peak) else f"{peak:.0f}"),
    )


def publish_times(times: Times, results: Path, console: Console) -> None:
    """Print the table and write `times.csv` and `times.md` below `results/<model>/`."""
    folder, sheet = results / times.model, times.sheet()
    write_atomically(folder / "times.csv", times.frame().to_csv(index=False, float_format="%.6g").encode())
    write_atomically(folder / "times.md", markdown(sheet).encode())
    console.print(terminal(sheet, console.width))
    console.print(f"Written to {folder}/times.csv and times.md", style="dim", highlight=False)
