"""Everything measured, printed and written."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from typing import TYPE_CHECKING

import pandas as pd
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hypernoise.files import write_atomically, write_png
from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.rewards.shapes import ShapesClip, ShapesMatch
from hypernoise.shapes.evaluation.curves import curves
from hypernoise.shapes.evaluation.failures import failures
from hypernoise.shapes.evaluation.generator import generator_scores, head_room, single_step_scores
from hypernoise.shapes.evaluation.judge import judge_accuracy
from hypernoise.shapes.evaluation.rewards import reward_rows
from hypernoise.shapes.evaluation.suite import Suite
from hypernoise.tables.plots import png

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATES = 20


def evaluate(scenes: int, results: Path) -> None:
    """Measure, print, and write `parts.csv` and `failures.png` below `shapes/` in the results folder.

    Where training logs are kept in `shapes/training/` there, their curves are drawn as `training.png`.
    """
    cpu = torch.device("cpu")
    suite = Suite(ShapesGenerator.load(cpu))
    rows = judge_accuracy(scenes) + generator_scores(suite)
    candidates = [suite.draw(0, number) for number in track(range(CANDIDATES), description="candidates")]
    rows += single_step_scores(suite, candidates) + head_room(suite, candidates)
    rows += reward_rows([ShapesClip.load(cpu), ShapesMatch.load(cpu)], suite, candidates, scenes)
    frame = pd.DataFrame([asdict(row) for row in rows])
    folder = results / "shapes"
    write_atomically(folder / "parts.csv", frame.round(4).to_csv(index=False).encode())
    write_png(folder / "failures.png", failures(suite, candidates))
    if logs := sorted((folder / "training").glob("*.jsonl")):
        write_atomically(folder / "training.png", png(curves(logs)))
    console = Console()
    for part, group in frame.groupby("part", sort=False):
        console.print(_table(str(part), group))
    console.print(f"Written to {folder}/parts.csv and failures.png", highlight=False)


def _table(part: str, rows: pd.DataFrame) -> Table:
    """Conditions across, what was measured down."""
    wide = rows.pivot_table(index="what", columns="condition", values="value", sort=False)
    table = Table(title=part)
    for column in ["", *wide.columns]:
        table.add_column(str(column))
    for what, row in wide.iterrows():
        table.add_row(str(what), *("" if isnan(value) else f"{value:.3f}" for value in row))
    return table
