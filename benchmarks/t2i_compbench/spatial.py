"""T2I-CompBench's score for where two objects lie, from their boxes.

The rules are those of Karine-Huang/T2I-CompBench `UniDet_eval/2D_spatial_eval.py`. It knows the words "on top of" but
gives them no points; here they mean what "on the top of" means.
"""

from __future__ import annotations

from benchmarks.t2i_compbench.boxes import Detection, shared_area

BESIDE = ("on side of", "next to", "near")
DIRECTIONS = {
    "on the left of": (-1, 0),
    "on the right of": (1, 0),
    "on the top of": (0, -1),
    "on top of": (0, -1),
    "on the bottom of": (0, 1),
}
"""Where the first object is seen from the second, in x and y; y points down."""

DISTANCE = 150
"""Pixels of the scaled image within which two centers are beside each other, on one axis at least."""

OVERLAP = 0.1
"""Intersection over union from which on a direction counts less."""

LEAST = 0.5
"""A lower score is none."""


def image_score(relation: str, first: Detection | None, second: Detection | None) -> float:
    """Score 0..1 of an image: half the mean confidence of both objects and half their position; 0 without both."""
    if first is None or second is None:
        return 0.0
    score = (first.score + second.score) / 4 + position(relation, first, second) / 2
    return score if score >= LEAST else 0.0


def position(relation: str, first: Detection, second: Detection) -> float:
    """How well two boxes are in a relation, 0..1.

    Raises:
        KeyError: if there is no such relation.
    """
    offset = offset_of_centers(first, second)
    if relation in BESIDE:
        return closeness(offset)
    return direction(offset, DIRECTIONS[relation], iou(first, second))


def offset_of_centers(first: Detection, second: Detection) -> tuple[float, float]:
    """From the second box's center to the first's, in pixels of the scaled image."""
    ax, ay = center(first)
    bx, by = center(second)
    return ax - bx, ay - by


def center(detection: Detection) -> tuple[float, float]:
    """The middle of a box."""
    x1, y1, x2, y2 = detection.box
    return (x1 + x2) / 2, (y1 + y2) / 2


def closeness(offset: tuple[float, float]) -> float:
    """1 for less than `DISTANCE` on one axis, else its share of the larger offset."""
    x, y = map(abs, offset)
    return 1.0 if min(x, y) < DISTANCE else DISTANCE / max(x, y)


def direction(offset: tuple[float, float], wanted: tuple[int, int], overlap: float) -> float:
    """1 for an offset that points that way more than across it, less where boxes overlap, 0 for other offsets."""
    along = offset[0] * wanted[0] + offset[1] * wanted[1]
    across = offset[0] * wanted[1] - offset[1] * wanted[0]
    if along <= abs(across):
        return 0.0
    return 1.0 if overlap < OVERLAP else OVERLAP / overlap


def iou(first: Detection, second: Detection) -> float:
    """Intersection over union of two boxes that are not empty."""
    shared = shared_area(first, second)
    return shared / (shared_area(first, first) + shared_area(second, second) - shared)
