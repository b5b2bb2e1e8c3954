"""What a detector found, as the rules of the published scripts read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Found = Mapping[str, Sequence["Detection"]]
    """The objects of an image by their nouns, the most confident first."""

    Detect = Callable[[Sequence[NDArray[np.uint8]], Sequence[Sequence[str]]], Sequence[Found]]
    """Gives what images uint8 [H, W, 3] show of the nouns that each is asked for, boxes in its own pixels."""

SHORTER, LONGER = 479, 480
"""Sides in pixels that the published scripts scale images to at most; their rules measure distances there."""


@dataclass(frozen=True)
class Detection:
    """One object: corners (x1, y1, x2, y2) in pixels, confidence 0..1."""

    box: tuple[float, float, float, float]
    score: float


def scaled(found: Found, size: tuple[int, int]) -> dict[str, list[Detection]]:
    """The objects of an image of `size` (height, width) with boxes in pixels of the scaled image."""
    scale = min(SHORTER / min(size), LONGER / max(size))
    return {noun: [_times(each, scale) for each in of] for noun, of in found.items()}


def _times(detection: Detection, scale: float) -> Detection:
    x1, y1, x2, y2 = (scale * corner for corner in detection.box)
    return Detection((x1, y1, x2, y2), detection.score)


def shared_area(a: Detection, b: Detection, margin: float = 0) -> float:
    """Area in both boxes, in square pixels; with a margin of 1 the lower right pixels belong to a box."""
    left, top = (max(a.box[axis], b.box[axis]) for axis in (0, 1))
    right, bottom = (min(a.box[axis], b.box[axis]) for axis in (2, 3))
    return max(right - left + margin, 0) * max(bottom - top + margin, 0)
