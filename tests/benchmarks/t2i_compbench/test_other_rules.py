"""The rules of T2I-CompBench's other categories: in closed form, and against the published functions' values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.t2i_compbench import boxes, numeracy, spatial
from benchmarks.t2i_compbench.boxes import Detection

VALUES = json.loads(Path(__file__).with_name("published_values.json").read_text())


def at(x: float, y: float, side: float = 100, score: float = 1.0) -> Detection:
    """A square around a center."""
    return Detection((x - side / 2, y - side / 2, x + side / 2, y + side / 2), score)


def test_positions_are_the_published_ones() -> None:
    for relation, first, second, expected in VALUES["position"]:
        assert spatial.position(relation, Detection(tuple(first), 1), Detection(tuple(second), 1)) == expected
    assert len(VALUES["position"]) == 72
    assert {case[0] for case in VALUES["position"]} == {*spatial.BESIDE, *spatial.DIRECTIONS} - {"on top of"}


def test_doubles_are_the_published_ones() -> None:
    for first, second, expected in VALUES["same"]:
        assert numeracy.same(Detection(tuple(first), 1), Detection(tuple(second), 1)) == bool(expected)
    assert sum(case[2] for case in VALUES["same"]) == 20


@pytest.mark.parametrize(
    ("relation", "first", "expected"),
    [
        ("on the left of", (90, 210), 1),
        ("on the right of", (90, 210), 0),
        ("on the left of", (90, 350), 0),  # more below than left
        ("on the left of", (90, 310), 0),  # as far below as left
        ("on the top of", (210, 40), 1),
        ("on top of", (210, 40), 1),
        ("on the bottom of", (210, 40), 0),
        ("on the bottom of", (210, 400), 1),
        ("on the right of", (250, 200), 0.3),  # half of each shared: 0.1 / (1/3)
        ("next to", (349, 400), 1),  # nearer than 150 on one axis
        ("near", (350, 400), 0.75),  # on neither: 150 / 200
        ("on side of", (500, 350), 0.5),
    ],
)
def test_positions_in_closed_form(relation: str, first: tuple[int, int], expected: float) -> None:
    assert spatial.position(relation, at(*first), at(200, 200)) == pytest.approx(expected)


def test_an_unknown_relation_is_an_error() -> None:
    with pytest.raises(KeyError, match="behind"):
        spatial.position("behind", at(0, 0), at(1, 1))


def test_an_image_scores_for_confidence_and_position_or_not_at_all() -> None:
    left, right = at(100, 200, score=0.6), at(300, 200, score=0.8)
    assert spatial.image_score("on the left of", left, right) == pytest.approx(0.35 + 0.5)
    assert spatial.image_score("on the right of", left, right) == 0  # 0.35 is below a half
    assert spatial.image_score("on the left of", left, None) == 0
    assert spatial.image_score("on the left of", None, None) == 0
    assert spatial.image_score("on the right of", at(1, 1), at(9, 1)) == 0.5


def test_numbers_in_closed_form() -> None:
    asked = [("cat", 2), ("dog", 1)]
    assert numeracy.image_score(asked, {"cat": 2, "dog": 1}) == 1
    assert numeracy.image_score(asked, {"cat": 3, "dog": 1}) == 0.75
    assert numeracy.image_score(asked, {"cat": 1}) == 0.25
    assert numeracy.image_score(asked, {"bird": 2}) == 0
    assert numeracy.image_score([("cat", 3)], {"cat": 4, "dog": 1}) == 0.5


def test_a_box_within_another_is_the_same_object() -> None:
    whole, part, half, other = at(100, 100), at(100, 100, 50), at(150, 100), at(300, 100)
    assert numeracy.distinct([whole, part, half, other, other]) == [whole, half, other]
    assert numeracy.distinct([part, whole]) == [part]


def test_boxes_are_read_in_scaled_pixels() -> None:
    cats = [Detection((0, 512, 512, 1024), 0.9), Detection((0, 0, 1024, 512), 0.6)]
    seen = boxes.scaled({"cat": cats, "dog": []}, (1024, 1024))
    assert [each.score for each in seen["cat"]] == [0.9, 0.6]
    assert seen["cat"][0].box == pytest.approx((0, 239.5, 239.5, 479))
    assert seen["dog"] == []
    (wide,) = boxes.scaled({"cat": cats[1:]}, (512, 1024))["cat"]
    assert wide.box == pytest.approx((0, 0, 480, 240))  # the longer side decides
