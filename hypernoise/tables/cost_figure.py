"""The figure of score against cost: a panel for each unit of cost, a line or point a method, the Pareto front."""

from __future__ import annotations

from itertools import chain, cycle
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from hypernoise.tables.cost import COSTS
from hypernoise.tables.labels import Label, dots, place
from hypernoise.tables.plots import COLORS, MARKERS, png, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hypernoise.experiments.benchmark import Report
    from hypernoise.tables.cost import Comparison, Point

FRONT, FRONT_NAME, BASE = "0.84", "0.45", "0.2"
"""Greys of the front, its name and base."""

APART = 1.035
"""Factor between methods of one NFE, whose intervals would else lie on each other."""


def figure(compared: Comparison, report: Report) -> bytes:
    """Scores with 95% intervals against every cost, logarithmic, as PNG."""
    with style():
        picture = Figure(figsize=(10, 4.4), dpi=150, layout="constrained")
        axes = picture.subplots(1, len(COSTS), sharey=True)
        panels = [Panel(each, compared, kind, report.scale) for each, kind in zip(axes, COSTS, strict=True)]
        for panel in panels:
            panel.draw()
        axes[0].set_ylabel(f"{report.title.partition(' (')[0]} score")
        picture.draw_without_rendering()
        picture.set_layout_engine("none")
        for panel in panels:
            panel.label()
        return png(picture)


class Curve:
    """A method's points in a panel: cost and score [N], and how far intervals reach below and above [2, N]."""

    def __init__(self, method: str, points: Sequence[Point], kind: str, scale: float, place: float) -> None:
        self.method = method
        self.single = points[0].budget is None
        self.x = np.array([point.cost(kind) for point in points])
        if kind == "nfe":
            self.x = self.x * APART**place
        low, value, high = (
            np.array([getattr(point.score, name) for point in points], dtype=np.float64) * scale
            for name in ("low", "value", "high")
        )
        self.y, self.bars = value, np.stack([value - low, high - value])


class Panel:
    """Score against one unit of cost."""

    def __init__(self, axes: Axes, compared: Comparison, kind: str, scale: float) -> None:
        self.axes, self.kind = axes, kind
        points, best = compared.points, compared.fronts[kind]
        methods = list(dict.fromkeys(point.method for point in points))
        self.curves = [
            Curve(method, [p for p in points if p.method == method], kind, scale, i - (len(methods) - 1) / 2)
            for i, method in enumerate(methods)
        ]
        self.costs = [point.cost(kind) for point in best]
        self.scores = [point.score.value * scale for point in best]
        every = [point.cost(kind) for point in points]
        self.limits = min(every) / 1.6, max(every) * 1.6

    @property
    def colors(self) -> list[str]:
        """One for each curve, the first of which is base's."""
        return [BASE, *(COLORS[i % len(COLORS)] for i in range(len(self.curves) - 1))]

    def stairs(self) -> tuple[list[float], list[float]]:
        """Corners of the front, which goes on to the right end of the axes."""
        return [*np.repeat(self.costs, 2)[1:], self.limits[1]], list(np.repeat(self.scores, 2))

    def draw(self) -> None:
        """The front, and every method's points with their intervals; those without a budget above all others."""
        self.axes.set_xscale("log")
        self.axes.set_xlim(self.limits)
        self.axes.plot(*self.stairs(), color=FRONT, linewidth=4, zorder=0.5)
        for curve, color, marker in zip(self.curves, self.colors, chain("X", cycle(MARKERS)), strict=False):
            self.axes.errorbar(
                curve.x,
                curve.y,
                curve.bars,
                color=color,
                marker=marker,
                markersize=9 if curve.single else 6.5,
                markeredgecolor="white",
                linewidth=1.3,
                capsize=2.5,
                zorder=4 if curve.single else 3,
            )
        self.axes.set_xlabel(COSTS[self.kind] + (", equal ones side by side" if self.kind == "nfe" else ""))
        self.axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        self.axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        self.axes.xaxis.set_minor_locator(NullLocator())

    def label(self) -> None:
        """Name every method beside one of its points, the dearest first, and the front beside one of its stairs."""
        labels = [
            Label(curve.method, dark(color), list(zip(curve.x, curve.y, strict=True))[::-1])
            for curve, color in zip(self.curves, self.colors, strict=True)
        ]
        ends = [*self.costs[1:], self.limits[1]]
        middles = [(start * end) ** 0.5 for start, end in zip(self.costs, ends, strict=True)]
        stairs = list(zip(middles, self.scores, strict=True))[::-1]
        place(self.axes, [*labels, Label("Pareto front", FRONT_NAME, stairs)], self.drawn())

    def drawn(self) -> NDArray[np.float64]:
        """Pixels [N, 2] of all lines and intervals."""
        found = [dots(self.axes, *self.stairs())]
        for curve in self.curves:
            found.append(dots(self.axes, curve.x, curve.y))
            reach = np.nan_to_num(curve.bars)
            found += [
                dots(self.axes, [x, x], [y - below, y + above])
                for x, y, below, above in zip(curve.x, curve.y, *reach, strict=True)
            ]
        return np.concatenate(found)


def dark(color: str) -> tuple[float, ...]:
    """A color as words have it, which are thinner than what they name."""
    return tuple(0.75 * part for part in to_rgb(color))
