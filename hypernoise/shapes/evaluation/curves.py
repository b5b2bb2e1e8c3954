"""A picture of the parts' training curves, from the logs that are kept with the results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from hypernoise.tables.plots import COLORS, style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = 4
LOSSES = ("loss", "critic", "student", "held_out/shapes-match")
"""What is drawn of a log, as far as it is in it."""


def _curves(log: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values by name."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for row in map(json.loads, log.read_text().splitlines()):
        for name in LOSSES:
            if name in row:
                steps, values = curves.setdefault(name, ([], []))
                steps.append(row["step"])
                values.append(row[name])
    return curves


def curves(logs: Sequence[Path]) -> Figure:
    """One small panel a log; a name has one color in all of them, told below the panels."""
    lines = -(-len(logs) // COLUMNS)
    with style(font_size=8):
        figure = Figure(figsize=(11, 2.4 * lines), dpi=120, layout="constrained")
        panels = figure.subplots(lines, COLUMNS, squeeze=False).flatten()
        for panel in panels[len(logs) :]:
            panel.set_axis_off()
        named = {}
        for panel, log in zip(panels, logs, strict=False):
            for name, (steps, values) in _curves(log).items():
                (named[name],) = panel.plot(steps, values, color=COLORS[LOSSES.index(name)], linewidth=1)
            panel.set(title=log.stem, xlabel="step")
        figure.legend(
            named.values(), named.keys(), loc="outside lower center", ncols=len(LOSSES), frameon=False
        )
        return figure
