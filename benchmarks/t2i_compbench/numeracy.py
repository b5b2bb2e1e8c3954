"""T2I-CompBench++'s score for numbers of objects, from their boxes.

The rules are those of Karine-Huang/T2I-CompBench `UniDet_eval/numeracy_eval.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.t2i_compbench.boxes import Detection, shared_area

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAME = 0.9
"""Shares of overlap above it make two boxes one object."""


def image_score(asked: Sequence[tuple[str, int]], found: Mapping[str, int]) -> float:
    """Mean over the objects asked for: a half for any, a whole for the right number.

    Args:
        asked: Names with their numbers, from 1; not empty.
        found: How many of each name an image shows.
    """
    points = [(1 + (found[name] == count)) / 2 if found.get(name) else 0.0 for name, count in asked]
    return sum(points) / len(points)


def distinct(detections: Sequence[Detection]) -> list[Detection]:
    """Detections of one class without those that show an earlier one again."""
    kept: list[Detection] = []
    for each in detections:
        if not any(same(each, other) for other in kept):
            kept.append(each)
    return kept


def same(a: Detection, b: Detection) -> bool:
    """Whether more than `SAME` of one box lies in the other, corners being pixels of a box.

    An intersection over union above it implies that.
    """
    shared = shared_area(a, b, margin=1)
    return shared / min(shared_area(a, a, margin=1), shared_area(b, b, margin=1)) > SAME
