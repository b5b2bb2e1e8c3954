"""Words beside what they name in a figure, each where it covers least: other words first, then what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patheffects import withStroke

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox
    from numpy.typing import ArrayLike, NDArray

PLACES = [
    (dx, dy, horizontal, vertical)
    for far in (1.0, 2.0, 3.5)
    for dx, dy, horizontal, vertical in (
        (7 * far, 0, "left", "center"),
        (5 * far, -5 * far, "left", "top"),
        (5 * far, 5 * far, "left", "bottom"),
        (0, 8 * far, "center", "bottom"),
        (0, -8 * far, "center", "top"),
        (-5 * far, 5 * far, "right", "bottom"),
        (-5 * far, -5 * far, "right", "top"),
        (-7 * far, 0, "right", "center"),
    )
]
"""Offsets in points from what is named, and the text's alignment there; near and first ones are preferred."""

MARGIN = 2.0
"""Pixels that words keep from others and from what is drawn."""


@dataclass(frozen=True)
class Label:
    """Words in a color, and the points in data coordinates that they may stand beside, the best first."""

    text: str
    color: str | tuple[float, ...]
    anchors: Sequence[tuple[float, float]]


def dots(axes: Axes, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Pixels [N, 2] along a line through points in data coordinates, about two pixels apart."""
    corners = axes.transData.transform(np.column_stack([np.asarray(x), np.asarray(y)]))
    parts = [corners[:1]]
    for start, end in pairwise(corners):
        steps = max(2, int(np.hypot(*(end - start)) / 2))
        parts.append(np.linspace(start, end, steps))
    return np.concatenate(parts)


def place(axes: Axes, labels: Sequence[Label], drawn: NDArray[np.float64]) -> list[Annotation]:
    """Write every label beside one of its anchors; `drawn` are pixels [N, 2] to keep free.

    The axes must have their final place and limits.
    """
    taken: list[Bbox] = []
    written = []
    for label in labels:
        trials = [(anchor, offset) for anchor in label.anchors for offset in PLACES]
        costs = [
            _cost(axes, _box(axes, label, *trial), taken, drawn) + np.hypot(*trial[1][:2]) for trial in trials
        ]
        best = trials[int(np.argmin(costs))]
        taken.append(_box(axes, label, *best))
        written.append(_write(axes, label, *best))
    return written


def _write(
    axes: Axes, label: Label, anchor: tuple[float, float], offset: tuple[float, float, str, str]
) -> Annotation:
    dx, dy, horizontal, vertical = offset
    return axes.annotate(
        label.text,
        anchor,
        (dx, dy),
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        color=label.color,
        fontsize="small",
        annotation_clip=False,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
        zorder=10,
    )


def _box(
    axes: Axes, label: Label, anchor: tuple[float, float], offset: tuple[float, float, str, str]
) -> Bbox:
    text = _write(axes, label, anchor, offset)
    box = text.get_window_extent()
    text.remove()
    return box


def _cost(axes: Axes, box: Bbox, taken: Sequence[Bbox], drawn: NDArray[np.float64]) -> float:
    """Dots that the words cover; far more for other words, and for what leaves the axes."""
    wide = box.padded(MARGIN)
    covered = int(((drawn > wide.min) & (drawn < wide.max)).all(axis=1).sum())
    overlaps = sum(wide.overlaps(other) for other in taken)
    outside = bool(np.any(box.min < axes.bbox.min) or np.any(box.max > axes.bbox.max))
    return 2 * covered + 1e4 * overlaps + 1e6 * outside
