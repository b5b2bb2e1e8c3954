"""What a detector found, as the rules of the published scripts read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.geneval.rules import Detection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.geneval.detector import Instance

THRESHOLD = 0.5
"""Objects must score above it."""

SHORTER, LONGER = 479, 480
"""Sides in pixels that the published scripts scale images to at most; their rules measure distances there."""


def by_class(instances: Sequence[Instance], size: tuple[int, int]) -> dict[str, list[Detection]]:
    """The objects of an image of `size` (height, width), the most confident first, boxes in scaled pixels."""
    scale = min(SHORTER / min(size), LONGER / max(size))
    found: dict[str, list[Detection]] = {}
    for each in sorted(instances, key=lambda instance: -instance.score):
        x1, y1, x2, y2 = (scale * corner for corner in each.box)
        found.setdefault(each.name, []).append(Detection((x1, y1, x2, y2), each.score))
    return found


def shared_area(a: Detection, b: Detection, margin: float = 0) -> float:
    """Area in both boxes, in square pixels; with a margin of 1 the lower right pixels belong to a box."""
    left, top = (max(a.box[axis], b.box[axis]) for axis in (0, 1))
    right, bottom = (min(a.box[axis], b.box[axis]) for axis in (2, 3))
    return max(right - left + margin, 0) * max(bottom - top + margin, 0)
