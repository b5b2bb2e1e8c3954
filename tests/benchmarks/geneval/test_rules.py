"""GenEval's rules against the published code's outcomes, and properties that no case list covers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.geneval import prompts, rules
from benchmarks.geneval.rules import Detection, Rules
from hypernoise.experiments.statistics import Scores, bootstrap_interval

GOLDEN = Path(__file__).parents[3] / "../shared/golden/geneval"
RED, BLUE = "red", "blue"


def golden(name: str) -> str:
    if not (GOLDEN / name).exists():
        pytest.skip("golden values not found")
    return (GOLDEN / name).read_text()


def detections_of(case: dict[str, Any]) -> dict[str, list[Detection]]:
    return {
        name: [Detection(tuple(found["box"]), found["score"], found["color"]) for found in group]
        for name, group in case["detections"].items()
    }


def parts(reason: str) -> list[frozenset[str]]:
    """Lines with the relations of each as a set: the published code joins a Python set."""
    return [frozenset(re.split(r" and |, found | target", line)) for line in reason.split("\n")]


def test_published_outcomes() -> None:
    cases = [json.loads(line) for line in golden("geneval_public.jsonl").splitlines()[1:]]
    assert len(cases) == 314
    for case in cases:
        metadata, expected, options = case["metadata"], case["expected"], Rules(**case["options"])
        detections = detections_of(case)
        assert rules.kept_indices(detections, metadata["tag"], options) == expected["kept"], case["id"]
        if expected["error"]:
            with pytest.raises(IndexError):
                rules.verdict(metadata, detections, options)
            continue
        ours = rules.verdict(metadata, detections, options)
        if not case["tie_sensitive"]:
            assert ours.correct == expected["correct"], case["id"]
        if not case["reason_tie_sensitive"]:
            assert parts(ours.reason) == parts(expected["reason"]), case["id"]


def test_published_summary() -> None:
    """What tables print as a task's score and as the overall score is what the published script prints."""
    summary = json.loads(golden("summary_public.json"))
    rows = summary["rows"]
    scores = Scores(
        [row["tag"] for row in rows],
        [row["metadata"] for row in rows],
        range(len(rows)),
        [float(row["correct"]) for row in rows],
    )
    found = bootstrap_interval(scores, resamples=10)
    printed = dict(re.findall(r"^(\w+) += ([\d.]+)%", summary["stdout"], re.MULTILINE))
    assert {task: f"{100 * estimate.mean:.2f}" for task, estimate in found.tasks.items()} == printed
    assert f"{found.overall.mean:.5f}" in summary["stdout"]


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": -0.1},
        {"counting_threshold": 1.1},
        {"max_overlap": float("nan")},
        {"max_objects": 0},
        {"position_threshold": -1},
        {"position_threshold": float("inf")},
    ],
)
def test_rules_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Rules(**options)  # type: ignore[arg-type]


def test_broken_detections_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Detection((0, 0, 1, float("nan")), 0.5)
    with pytest.raises(ValueError, match="finite"):
        Detection((0, 0, 1, 1), float("inf"))


def test_color_must_be_known_only_where_it_decides() -> None:
    metadata = prompts.colored("cup", RED)
    red, unknown = Detection((0, 0, 9, 9), 0.9, RED), Detection((0, 0, 9, 9), 0.8)
    assert rules.verdict(metadata, {"cup": [unknown, red]}).correct
    with pytest.raises(ValueError, match="not classified"):
        rules.verdict(metadata, {"cup": [unknown]})


def test_only_the_most_confident_objects_give_the_color() -> None:
    metadata = prompts.colored("cup", RED)
    blue, red = Detection((0, 0, 9, 9), 0.9, BLUE), Detection((0, 0, 9, 9), 0.8, RED)
    assert (
        rules.verdict(metadata, {"cup": [red, blue]}).reason == "expected red cup>=1, found 0 red; and 1 blue"
    )


def test_counting_has_its_own_threshold_and_upper_bound() -> None:
    metadata = prompts.counting("cup", 2)
    cups = [Detection((0, 0, 9, 9), score) for score in (0.95, 0.9, 0.91, 0.92)]
    assert rules.verdict(metadata, {"cup": cups[:3]}).correct  # 0.9 is not above 0.9
    assert rules.verdict(metadata, {"cup": cups}).reason == "expected cup<3, found 3"
    assert rules.verdict(metadata, {"cup": cups[:2]}).reason == "expected cup>=2, found 1"


def test_overlap_at_the_limit_is_dropped() -> None:
    # 10 and 5 inclusive columns of the same rows: IoU 5 / 10.
    whole, half = Detection((0, 0, 9, 9), 0.9), Detection((0, 0, 4, 9), 0.8)
    found = {"cup": [half, whole]}
    assert rules.kept_indices(found, "two_object", Rules(max_overlap=0.5)) == {"cup": [1]}
    assert rules.kept_indices(found, "two_object", Rules(max_overlap=0.51)) == {"cup": [1, 0]}


def test_dropped_boxes_suppress_nothing() -> None:
    chain = [Detection((x, 0, x + 9, 9), 0.9 - x / 100) for x in (0, 4, 8)]
    assert rules.kept_indices({"cup": chain}, "single_object", Rules(max_overlap=0.4)) == {"cup": [0, 2]}


@pytest.mark.parametrize(
    ("center", "expected"),
    [
        ((-100, 0), ("left of",)),
        ((100, 0), ("right of",)),
        ((0, -100), ("above",)),
        ((0, 100), ("below",)),
        ((100, 100), ("right of", "below")),
        ((0, 0), ()),
        ((3, 0), ()),  # 0.1 × (20 + 20) = 4 pixels are not enough to stand apart
        ((7, 0), ()),  # 3 of 7 are left
        ((9, 0), ("right of",)),  # 5 of 9
    ],
)
def test_relations(center: tuple[int, int], expected: tuple[str, ...]) -> None:
    x, y = center
    assert (
        rules.relations(Detection((x - 10, y - 10, x + 10, y + 10), 1), Detection((-10, -10, 10, 10), 1))
        == expected
    )


def test_relations_are_decided_in_float32() -> None:
    # Half of the offset is left: exactly so in float64 (not beyond 0.5), a rounding more in float32.
    assert rules.relations(Detection((0.9, 0, 3.15, 1), 1), Detection((0, 0, 2.25, 1), 1)) == ("right of",)


def test_every_object_must_be_placed_to_every_target() -> None:
    metadata: prompts.Metadata = {
        "tag": "position",
        "include": [{"class": "dog", "count": 2}, {"class": "cup", "count": 2, "position": ["left of", 0]}],
        "prompt": "two cups left of two dogs",
    }
    left, middle, right = (Detection((x, 0, x + 9, 9), 0.9 - x / 1000) for x in (0, 100, 200))
    assert rules.verdict(metadata, {"cup": [left, left], "dog": [middle, right]}).correct
    found = rules.verdict(metadata, {"cup": [left, left], "dog": [middle, replace(left, score=0.4)]})
    assert found.reason == "expected cup left of target, found  target"
    assert not rules.verdict(metadata, {"cup": [left, right], "dog": [middle, middle]}).correct


boxes = st.tuples(*[st.integers(0, 300).map(float)] * 4)
scores = st.lists(st.integers(1, 999), max_size=25, unique=True)


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, list[Detection]]:
    return {
        name: [
            Detection(draw(boxes), score / 1000, draw(st.sampled_from(prompts.COLORS)))
            for score in draw(scores)
        ]
        for name in ("cup", "dog")
    }


PROMPTS = [
    prompts.single("cup"),
    prompts.two("cup", "dog"),
    prompts.counting("cup", 3),
    prompts.colored("dog", RED),
    prompts.position("cup", "left of", "dog"),
    prompts.color_attribution("cup", RED, "dog", BLUE),
]


@settings(max_examples=60, deadline=None)
@given(scenes(), st.sampled_from(PROMPTS), st.randoms(), st.sampled_from([0.0, 0.2, 0.9, 1.0]))
def test_order_of_detections_is_irrelevant(
    scene: dict[str, list[Detection]], metadata: prompts.Metadata, random: Any, max_overlap: float
) -> None:
    options = Rules(max_overlap=max_overlap)
    shuffled = {name: random.sample(found, len(found)) for name, found in scene.items()}
    assert rules.verdict(metadata, scene, options) == rules.verdict(metadata, shuffled, options)


@settings(max_examples=100, deadline=None)
@given(boxes, boxes)
def test_relations_mirror(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    one, other = Detection(a, 1), Detection(b, 1)  # type: ignore[arg-type]
    assert set(rules.relations(one, other)) == {opposite[r] for r in rules.relations(other, one)}


@settings(max_examples=60, deadline=None)
@given(scenes(), st.floats(0.01, 1))
def test_kept_boxes_never_overlap_too_much(scene: dict[str, list[Detection]], max_overlap: float) -> None:
    kept = rules.kept_indices(scene, "single_object", Rules(max_overlap=max_overlap))
    for name, indices in kept.items():
        found = [scene[name][i] for i in indices]
        assert found == sorted(found, key=lambda detection: -detection.score)
        assert len(found) <= 16
        if max_overlap < 1:
            pixels = [(d.box, e.box) for d in found for e in found if d.score > e.score]
            assert all(inclusive_iou(a, b) < max_overlap + 1e-6 for a, b in pixels)


def inclusive_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """By counting the pixels of each axis, apart from the tested arithmetic."""

    def pixels(low: float, high: float) -> set[int]:
        return set(range(int(low), int(high) + 1))

    (ax, ay), (bx, by) = [(pixels(box[0], box[2]), pixels(box[1], box[3])) for box in (a, b)]
    shared = len(ax & bx) * len(ay & by)
    union = len(ax) * len(ay) + len(bx) * len(by) - shared
    return shared / union if union else 0.0
