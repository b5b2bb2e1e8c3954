"""Which method wins at which budget: the Pareto front line by line, each against the best of another method."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

from hypernoise.experiments.statistics import holm, sign_flip_p
from hypernoise.tables.cost import COSTS, contenders
from hypernoise.tables.render import MISSING, Cell, Column, Section, Sheet, estimate_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.experiments.benchmark import Report
    from hypernoise.tables.cost import Comparison, Point
    from hypernoise.tables.table1 import Estimate

COLUMNS = (
    Column("From", "From"),
    Column("Best", "Best", numeric=False),
    Column("Score", "Score"),
    Column("Best of the others", "Next", numeric=False),
    Column("Its score", "Score", optional=True),
    Column("Difference", "Diff."),
    Column("p", "p"),
)
LEGEND = (
    "From: what an image may cost for this line to hold, up to the next line's cost. Best of the others: the best of "
    "another method that costs less than the next line. Difference: paired by prompt and noise, [95% interval]. p: "
    "sign-flip test over prompts, Holm-corrected over all lines. Bold: the difference's interval leaves out 0.",
    "Points are ordered by their measured scores. One whose images are all another's, as of Best-of-1 and base, does "
    "not compete with it.",
)


@dataclass(frozen=True)
class Win:
    """The best point for costs from its own one on, and the best of another method meanwhile, where there is one."""

    best: Point
    other: Point | None

    @property
    def difference(self) -> Estimate | None:
        """By how much it is better."""
        return self.best.above(self.other) if self.other else None


def wins(compared: Comparison, kind: str) -> list[Win]:
    """One for each point of the front, cheapest first."""
    points, best = compared.points, compared.fronts[kind]
    ends = [*(later.cost(kind) for _, later in pairwise(best)), inf]
    return [Win(point, _best_other(points, kind, point, end)) for point, end in zip(best, ends, strict=True)]


def _best_other(points: Sequence[Point], kind: str, best: Point, end: float) -> Point | None:
    others = [point for point in contenders(points) if point.method != best.method and point.cost(kind) < end]
    return max(others, key=lambda point: point.score.value, default=None)


def sheet(compared: Comparison, heading: str, report: Report) -> Sheet:
    """The printed table, a section for each unit of cost."""
    found = {kind: wins(compared, kind) for kind in COSTS}
    pairs = [(win.best.run, win.other.run) for each in found.values() for win in each if win.other]
    corrected = iter(holm([sign_flip_p(best.scores, other.scores) for best, other in pairs]))
    return Sheet(
        "Which method wins at which budget",
        COLUMNS,
        tuple(
            Section(
                f"By {unit}. {heading}",
                tuple(
                    _line(win, kind, next(corrected) if win.other else None, report) for win in found[kind]
                ),
            )
            for kind, unit in COSTS.items()
        ),
        LEGEND,
        {},
    )


def _line(win: Win, kind: str, p: float | None, report: Report) -> tuple[Cell, ...]:
    form, difference = f".{report.digits[0]}f", win.difference
    bold = difference is not None and difference.low is not None and difference.low > 0
    return (
        Cell(f"{win.best.cost(kind):.3g}"),
        Cell(win.best.name, bold=bold),
        estimate_cell(win.best.score, form, form, scale=report.scale),
        Cell(win.other.name if win.other else MISSING),
        estimate_cell(win.other.score if win.other else None, form, form, scale=report.scale),
        estimate_cell(difference, f"+{form}", f"+{form}", bold=bold, scale=report.scale),
        Cell(MISSING if p is None else f"{p:.2g}"),
    )
