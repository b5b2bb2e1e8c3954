"""The table of `hn time`: seconds an image with their spread, and as multiples of base's, for every batch size."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hypernoise.files import write_atomically
from hypernoise.tables.markdown import markdown
from hypernoise.tables.render import MISSING, Cell, Column, Section, Sheet, heading_of
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
    Column("NFE", "NFE"),
    Column("Peak memory (MB)", "Peak MB"),
)
FAIRNESS = (
    "Inside the clock: encoding of prompts by the generator and the rewards, the method, decoding; not: loading, "
    "judging, PNG. Rounds are interleaved (A B C A B C) after one that does not count; median [quartiles].",
    "× base: the median over rounds of the ratio to base's time in the same round and at the same batch size.",
    "Peak memory: the process's resident memory on a CPU, what torch allocated on a GPU.",
)


def settings_sha256(settings: Mapping[str, Any]) -> str:
    """Identifies a method's settings as a run's manifest has them: with the hashes of its adapter's files."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def weighted(rewards: Mapping[str, float]) -> str:
    """Rewards and their weights as one word."""
    return ",".join(f"{name}={weight:g}" for name, weight in sorted(rewards.items()))


def networks(*, compiled: bool) -> str:
    """How a generator's networks were run, as a word."""
    return "compiled" if compiled else "eager"


@dataclass(frozen=True)
class Timing:
    """What was timed on a machine, with weighted rewards; the first method is base."""

    model: str
    steps: int
    rewards: Mapping[str, float]
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
            "method_settings_sha256": settings_sha256(each.settings),
            "batch": each.batch,
            "seconds": median,
            "seconds_low": low,
            "seconds_high": high,
            "times_base": self._times_base(each),
            "nfe": each.nfe,
            "peak_memory_mb": each.megabytes,
            "rounds": len(each.seconds),
            **self.circumstances,
        }

    @property
    def circumstances(self) -> dict[str, Any]:
        """What times depend on beside the method, the model and the batch: the rewards and the machine."""
        return {"rewards": weighted(self.rewards), **self.machine}

    def _times_base(self, each: Timed) -> float:
        """Median over rounds of the ratio to base's time at the same batch size."""
        base = next(other for other in self.timed if (other.method, other.batch) == ("base", each.batch))
        return float(np.median(np.divide(each.seconds, base.seconds)))

    @property
    def where(self) -> str:
        """How many rounds on which machine, as a sentence."""
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        return f"{len(self.timed[0].seconds)} rounds, steps: {self.steps}. Machine: {facts}."

    def sheet(self) -> Sheet:
        """The printed table, with the machine in its heading."""
        lines = tuple(_line(record) for record in self.frame().to_dict("records"))
        title, notes = f"Time an image takes, {self.model}", (*FAIRNESS, self.where)
        return Sheet(title, COLUMNS, (Section(heading_of(self.model), lines),), notes, {})


def _line(record: Mapping[Any, Any]) -> tuple[Cell, ...]:
    peak = record["peak_memory_mb"]
    return (
        Cell(record["method"]),
        Cell(str(record["batch"])),
        Cell(f"{record['seconds']:.3g}", f"[{record['seconds_low']:.3g}, {record['seconds_high']:.3g}]"),
        Cell(f"{record['times_base']:.2f}"),
        Cell(f"{record['nfe']:.4g}"),
        Cell(MISSING if pd.isna(peak) else f"{peak:.0f}"),
    )


def timed_seconds(results: Path, settings: Mapping[str, Any], machine: Mapping[str, Any]) -> float | None:
    """The seconds that `hn time` measured for a run's settings on its machine, or None where it did not.

    A `timing.csv` that does not say all of what must be the same, as those of earlier versions, has none.
    """
    path = results / settings["model"] / "timing.csv"
    if not path.exists():
        return None
    wanted = {name: settings[name] for name in ("model", "method", "steps", "batch")} | dict(machine)
    wanted |= {
        "method_settings_sha256": settings_sha256(settings["method_settings"]),
        "rewards": weighted(settings["rewards"]),
        "memory": "tiling" if settings["tiling"] else "ample",
        "networks": networks(compiled=settings["compiled"]),
    }
    timing = pd.read_csv(path, dtype=str)
    if not wanted.keys() <= set(timing.columns):
        return None
    found = timing.loc[(timing[list(wanted)] == pd.Series(wanted).astype(str)).all(axis=1), "seconds"]
    return float(found.iloc[0]) if len(found) else None


def publish_times(name: str, folder: Path, table: pd.DataFrame, sheet: Sheet, console: Console) -> None:
    """Print a sheet of times and write it as `<name>.md`, and as `<name>.csv` the table that it is of."""
    write_atomically(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6g").encode())
    write_atomically(folder / f"{name}.md", markdown(sheet).encode())
    console.print(terminal(sheet, console.width))
    console.print(f"Written to {folder}/{name}.csv and {name}.md", style="dim", highlight=False)


def publish_timing(timing: Timing, results: Path, console: Console) -> None:
    """Print the table and write `timing.csv` and `timing.md` below `results/<model>/`."""
    publish_times("timing", results / timing.model, timing.frame(), timing.sheet(), console)
