"""The report's figures: those that other commands left beside the tables, and scores against time from the rows."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from hypernoise.errors import HnError
from hypernoise.registry import names
from hypernoise.tables.plots import MARKERS, drawing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.experiments.benchmark import Report
    from hypernoise.tables.table1 import Row

KEPT = {
    "table2": ("Table 2: steps of the generator", "GenEval score against steps, a line for each method."),
    "table8": ("Table 8: steps of the generator", "GenEval score against steps, a line for each method."),
    "table9": ("Table 9: rank of the adapter", "GenEval score against the LoRA rank."),
    "table10": ("Table 10: rank of the adapter", "GenEval score against the LoRA rank, for each method."),
    "figure3": (
        "Figure 3: what the trained models draw",
        "Images of the same prompts and noise by base and by each training, step by step.",
    ),
    "figure4": (
        "Figure 4: a reward that is easily hacked",
        "Image quality against the reward that was trained on, a line for each training.",
    ),
    "training": ("Trainings", "Losses and held-out rewards of the trainings by step, a panel for each."),
    "failures": ("Failures", "Images that the judge finds wrong, with its reasons."),
}
"""Caption and description of the figures below `results/<world>/`, by file name, in the page's order.

Before them stand those of `hn budgets`, one a benchmark.
"""


@dataclass(frozen=True)
class Figure:
    """A PNG with the words that stand for it."""

    caption: str
    description: str
    png: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        with Image.open(io.BytesIO(self.png)) as image:
            return image.size


def kept_figures(folder: Path) -> list[Figure]:
    """The figures that lie in a folder.

    Raises:
        HnError: if one of them is not a PNG that can be read.
    """
    known = {f"budgets-{benchmark}": _by_cost(benchmark) for benchmark in names("benchmark")} | KEPT
    paths = {folder / f"{name}.png": words for name, words in known.items()}
    return [_kept(path, *words) for path, words in paths.items() if path.exists()]


def _by_cost(benchmark: str) -> tuple[str, str]:
    return (
        f"Score by cost: {benchmark}",
        f"Score on {benchmark} against seconds and against denoiser calls an image, a line or point for each method, "
        "with 95% intervals and the Pareto front.",
    )


def _kept(path: Path, caption: str, description: str) -> Figure:
    try:
        figure = Figure(caption, description, path.read_bytes())
        figure.size  # noqa: B018 - reading its head tells a damaged one
    except OSError as error:
        raise HnError(f"The figure {path} cannot be read; make it anew, or delete it.") from error
    return figure


def trade_off(rows: Sequence[Row], report: Report) -> Figure:
    """Scores with their intervals against the time that an image takes."""
    timed = [row for row in rows if row.seconds]
    with drawing() as picture:
        for index, row in enumerate(timed):
            low, high = (row.mean.value if end is None else end for end in (row.mean.low, row.mean.high))
            ends = [[(row.mean.value - low) * report.scale], [(high - row.mean.value) * report.scale]]
            picture.axes.errorbar(
                [row.seconds or 0.0],
                [row.mean.value * report.scale],
                ends,
                marker=MARKERS[index % len(MARKERS)],
                capsize=3,
                linestyle="none",
                label=row.method,
            )
        picture.axes.set_xscale("log")
        picture.axes.set(xlabel="seconds an image", ylabel=report.title)
        picture.axes.legend(frameon=False)
        said = "; ".join(
            f"{row.method} {row.mean.value * report.scale:.3f} in {row.seconds:.2g} s" for row in timed
        )
        return Figure("Score against time", f"{report.title} and seconds an image: {said}.", picture.png())
