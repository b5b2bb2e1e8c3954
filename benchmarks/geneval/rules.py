"""GenEval's verdict on one image, from its detections alone.

The rules, their order and their arithmetic are those of djghosh13/geneval `evaluation/evaluate_images.py`:
detectors give float32, so scores and boxes are rounded to float32 first and stay there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.geneval.prompts import COLORS, RELATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.geneval.prompts import Metadata, Requirement


@dataclass(frozen=True)
class Detection:
    """One detected object: corners (x1, y1, x2, y2) in pixels, confidence 0..1, its color once classified."""

    box: tuple[float, float, float, float]
    score: float
    color: str | None = None

    def __post_init__(self) -> None:
        if len(self.box) != 4 or not all(map(math.isfinite, (*self.box, self.score))):
            raise ValueError(f"a detection needs four finite corners and a finite score, got {self}")


@dataclass(frozen=True)
class Rules:
    """The published options and their defaults.

    Attributes:
        threshold: Objects must score above it, 0..1.
        counting_threshold: The same for the counting task.
        max_objects: Kept of each class, the most confident first.
        max_overlap: Objects overlapping a better one this much (IoU) are dropped, 0..1; 1 keeps all.
        position_threshold: Share of the two sizes by which centers must differ to stand apart.
    """

    threshold: float = 0.3
    counting_threshold: float = 0.9
    max_objects: int = 16
    max_overlap: float = 1.0
    position_threshold: float = 0.1

    def __post_init__(self) -> None:
        for name in ("threshold", "counting_threshold", "max_overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {getattr(self, name)}")
        if self.max_objects < 1:
            raise ValueError(f"max_objects must be at least 1, got {self.max_objects}")
        if not 0 <= self.position_threshold < math.inf:
            raise ValueError(
                f"position_threshold must be finite and not negative, got {self.position_threshold}"
            )


PUBLISHED = Rules()


@dataclass(frozen=True)
class Verdict:
    """Whether an image shows what was asked; `reason` has one line for each clause that failed."""

    correct: bool
    reason: str


def verdict(
    metadata: Metadata, detections: Mapping[str, Sequence[Detection]], rules: Rules = PUBLISHED
) -> Verdict:
    """Judge one image by the detections of each class.

    A clause's group is what later clauses may name as the target of a position; it is None where it failed.

    Raises:
        IndexError: If a position names a clause that has not come yet.
        ValueError: If a color is asked for and a detection that decides it has none.
    """
    kept = kept_indices(detections, metadata["tag"], rules)
    objects = {name: [detections[name][i] for i in indices] for name, indices in kept.items()}
    groups: list[Sequence[Detection] | None] = []
    failures = []
    for clause in metadata.get("include", []):
        group = objects.get(clause["class"], [])[: clause["count"]]
        failure = (
            too_few(clause, group) or wrong_color(clause, group) or misplaced(clause, group, groups, rules)
        )
        groups.append(None if failure else group)
        failures.append(failure)
    failures += [too_many(clause, objects) for clause in metadata.get("exclude", [])]
    reason = "\n".join(filter(None, failures))
    return Verdict(not reason, reason)


def kept_indices(
    detections: Mapping[str, Sequence[Detection]], tag: str, rules: Rules = PUBLISHED
) -> dict[str, list[int]]:
    """Indices of the objects that count, most confident first, by class; classes without any are left out."""
    threshold = rules.counting_threshold if tag == "counting" else rules.threshold
    kept = {}
    for name, found in detections.items():
        boxes = np.array([detection.box for detection in found], dtype=np.float32)
        scores = np.array([detection.score for detection in found], dtype=np.float32)
        confident = most_confident(scores, threshold, rules.max_objects)
        kept[name] = without_overlaps(boxes, confident, rules.max_overlap)
    return {name: indices for name, indices in kept.items() if indices}


def most_confident(scores: NDArray[np.float32], threshold: float, max_objects: int) -> list[int]:
    """Indices of the highest scores above the threshold, descending; of equal scores the last comes first."""
    descending = np.argsort(scores, kind="stable")[::-1]
    above = scores[descending] > np.float32(threshold)
    return [int(index) for index in descending[above][:max_objects]]


def without_overlaps(boxes: NDArray[np.float32], order: Sequence[int], max_overlap: float) -> list[int]:
    """Greedily drop boxes whose IoU with a better one reaches `max_overlap`; at 1 even duplicates stay."""
    if max_overlap == 1:
        return list(order)
    kept: list[int] = []
    for index in order:
        if all(iou(boxes[better], boxes[index]) < np.float32(max_overlap) for better in kept):
            kept.append(index)
    return kept


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    """Intersection over union of two boxes; corners are pixels that belong to the box, hence the +1."""
    shared = _area(np.concatenate([np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])]))
    union = _area(a) + _area(b) - shared
    return shared / union if union else np.float32(0)


def _area(box: NDArray[np.float32]) -> np.float32:
    width, height = np.maximum(box[2:] - box[:2] + np.float32(1), np.float32(0))
    return np.float32(width * height)


def too_few(clause: Requirement, group: Sequence[Detection]) -> str:
    """Say that fewer objects than asked for were found, or ''."""
    if len(group) >= clause["count"]:
        return ""
    return f"expected {clause['class']}>={clause['count']}, found {len(group)}"


def wrong_color(clause: Requirement, group: Sequence[Detection]) -> str:
    """Say that fewer than `count` objects of the group have the color asked for, or ''."""
    if "color" not in clause:
        return ""
    name, count, color = clause["class"], clause["count"], clause["color"]
    if any(detection.color is None for detection in group):
        raise ValueError(
            f"the prompt asks for a {color} {name}, but the color of a {name} was not classified"
        )
    found = [detection.color for detection in group]
    if found.count(color) >= count:
        return ""
    seen = ", ".join(f"{found.count(c)} {c}" for c in COLORS if c in found)
    return f"expected {color} {name}>={count}, found {found.count(color)} {color}; and {seen}"


def misplaced(
    clause: Requirement,
    group: Sequence[Detection],
    groups: Sequence[Sequence[Detection] | None],
    rules: Rules = PUBLISHED,
) -> str:
    """Say that an object of the group is not in the asked relation to every object of its target, or ''."""
    if "position" not in clause:
        return ""
    relation, target_index = clause["position"]
    targets = groups[target_index]
    if targets is None:
        return f"no target for {clause['class']} to be {relation}"
    for detection in group:
        for target in targets:
            found = relations(detection, target, rules.position_threshold)
            if relation not in found:
                return f"expected {clause['class']} {relation} target, found {' and '.join(found)} target"
    return ""


def relations(a: Detection, b: Detection, position_threshold: float = 0.1) -> tuple[str, ...]:
    """How `a` lies to `b`: none, one or two of `RELATIONS`.

    The offset of the centers, reduced by a share of both sizes, is measured in lengths of the full offset;
    an axis counts beyond ±0.5.
    """
    corners = np.array([a.box, b.box], dtype=np.float32).reshape(2, 2, 2)  # object, corner, axis
    centers = corners.mean(axis=1)
    sizes = np.abs(corners[:, 1] - corners[:, 0])
    offset = centers[0] - centers[1]
    margin = np.float32(position_threshold) * (sizes[0] + sizes[1])
    reduced = np.maximum(np.abs(offset) - margin, 0) * np.sign(offset)
    if np.all(np.abs(reduced) < np.float32(1e-3)):
        return ()
    dx, dy = reduced / np.linalg.norm(offset)
    holds = (dx < -0.5, dx > 0.5, dy < -0.5, dy > 0.5)
    return tuple(relation for relation, true in zip(RELATIONS, holds, strict=True) if true)


def too_many(clause: Requirement, objects: Mapping[str, Sequence[Detection]]) -> str:
    """Say that `count` or more objects of an excluded class were found, or ''."""
    found = len(objects.get(clause["class"], []))
    return f"expected {clause['class']}<{clause['count']}, found {found}" if found >= clause["count"] else ""
