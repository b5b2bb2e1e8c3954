"""Scores by budget: a CSV and a figure, every point with its interval and its difference to base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.table import Table

from hypernoise.files import write_atomically
from hypernoise.tables import from_runs
from hypernoise.tables.plots import MARKERS, drawing
from hypernoise.tables.table1 import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from hypernoise.tables.from_runs import StoredRun


def budget_rows(runs: Mapping[tuple[str, int], StoredRun]) -> pd.DataFrame:
    """One row a run, by (method, budget); ("base", 1) must be among them."""
    rows = []
    for (method, budget), row in zip(runs, from_runs.rows(list(runs.values())), strict=True):
        above = row.delta or Estimate(0.0, 0.0, 0.0)
        rows.append(
            {
                "method": method,
                "budget": budget,
                "nfe": row.nfe,
                "seconds": row.seconds,
                "mean": row.mean.value,
                "low": row.mean.low,
                "high": row.mean.high,
                "above_base": above.value,
                "above_base_low": above.low,
                "above_base_high": above.high,
                "images": row.prompts * row.seeds,
            }
        )
    intervals = ("low", "high", "above_base_low", "above_base_high")
    return pd.DataFrame(rows).astype(dict.fromkeys(intervals, float))


def _printed(value: float, low: float, high: float, sign: str = "") -> str:
    interval = "" if np.isnan(low) else f" [{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{value:{sign}.3f}{interval}"


def figure(rows: pd.DataFrame, benchmark: str) -> bytes:
    """A benchmark's score against the number of images tried, logarithmic, with 95% intervals, as PNG."""
    with drawing() as picture:
        axes = picture.axes
        base = rows[rows["method"] == "base"].iloc[0]
        axes.axhline(base["mean"], color="0.4", linestyle="--", label="base")
        axes.axhspan(base["low"], base["high"], color="0.85")
        others = rows[rows["method"] != "base"]
        for marker, (method, group) in zip(MARKERS, others.groupby("method", sort=False), strict=False):
            errors = [group["mean"] - group["low"], group["high"] - group["mean"]]
            axes.errorbar(group["nfe"], group["mean"], errors, marker=marker, capsize=3, label=method)
        ticks = sorted(others.groupby("budget")["nfe"].max())  # a method may need less than its budget
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel="denoiser calls an image (NFE)", ylabel=f"{benchmark} score")
        axes.legend(frameon=False)
        return picture.png()


def publish_budgets(runs: Mapping[tuple[str, int], StoredRun], results: Path, console: Console) -> None:
    """Print the rows, and write them as `budgets.csv` and `budgets.png` below `results/<world>/`."""
    rows = budget_rows(runs)
    folder = results / str(runs["base", 1].settings["model"])
    benchmark = runs["base", 1].benchmark.report.title.partition(" (")[0]
    write_atomically(folder / "budgets.csv", rows.round(5).to_csv(index=False).encode())
    write_atomically(folder / "budgets.png", figure(rows, benchmark))
    table = Table("method", "budget", "seconds an image", "mean [95%]", "above base [95%]")
    for row in rows.to_dict("records"):
        table.add_row(
            row["method"],
            str(row["budget"]),
            f"{row['seconds']:.2g}",
            _printed(row["mean"], row["low"], row["high"]),
            _printed(row["above_base"], row["above_base_low"], row["above_base_high"], "+"),
        )
    console.print(table)
    console.print(f"Written to {folder}/budgets.csv and budgets.png", style="dim", highlight=False)
