"""Methods by what they cost: one point a method and budget, and which of them no cheaper one reaches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hypernoise.experiments import statistics
from hypernoise.tables.from_runs import known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.tables.from_runs import StoredRun
    from hypernoise.tables.table1 import Estimate

COSTS = {"seconds": "seconds an image", "nfe": "denoiser calls an image (NFE)"}
"""What costs are counted in, as a run has it, and its name on an axis."""


@dataclass(frozen=True)
class Point:
    """A method, as the user named it, with a budget, None where it has none to vary; and its run."""

    method: str
    budget: int | None
    run: StoredRun

    @property
    def name(self) -> str:
        """Method and budget."""
        return self.method if self.budget is None else f"{self.method}, {self.budget}"

    def cost(self, kind: str) -> float:
        """What an image cost in a unit of `COSTS`; seconds are those of the run's own clock."""
        return {"seconds": self.run.own_seconds, "nfe": self.run.nfe}[kind]

    @cached_property
    def score(self) -> Estimate:
        """The overall score with its interval."""
        return known(statistics.bootstrap_interval(self.run.scores).overall)

    def above(self, other: Point) -> Estimate:
        """The paired difference of the scores, this one's minus the other's."""
        return known(statistics.paired_difference(self.run.scores, other.run.scores).overall)


def contenders(points: Sequence[Point]) -> list[Point]:
    """The points whose images no other has: with a budget of 1 many a method is another one under its own name.

    Of such points one without a budget is kept, or else the first.
    """
    found: dict[tuple[str, ...], Point] = {}
    for point in sorted(points, key=lambda point: point.budget is not None):
        found.setdefault(tuple(record["image_sha256"] for record in point.run.records), point)
    return list(found.values())


def front(points: Sequence[Point], kind: str) -> list[Point]:
    """The Pareto front of the contenders, cheapest first: those whose score none of at most their cost reaches."""
    best: list[Point] = []
    for point in sorted(contenders(points), key=lambda point: (point.cost(kind), -point.score.value)):
        if not best or point.score.value > best[-1].score.value:
            best.append(point)
    return best


@dataclass(frozen=True)
class Comparison:
    """All points, the first of which is base, and what several tables and the figure say of them."""

    points: Sequence[Point]

    @cached_property
    def fronts(self) -> dict[str, list[Point]]:
        """The Pareto front for every unit of cost."""
        return {kind: front(self.points, kind) for kind in COSTS}

    @cached_property
    def above_base(self) -> list[Estimate]:
        """Every point's paired difference to base, whose own is 0."""
        return [point.above(self.points[0]) for point in self.points]
