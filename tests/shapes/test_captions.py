"""Descriptions, the scenes drawn for them and the captions that are wrong about them, by GenEval's own rules."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.geneval import rules
from benchmarks.geneval.rules import Detection
from hypernoise.shapes.captions import (
    NEGATIVES,
    OPPOSITE,
    Description,
    Phrase,
    holds,
    negative,
    random_description,
    scene_for,
)
from hypernoise.shapes.scenes import Object, Scene, coverage
from hypernoise.shapes.suite import HELD_OUT_PAIRS, SIZES
from hypernoise.shapes.vocabulary import COLORS, RELATIONS, SHAPES

if TYPE_CHECKING:
    from benchmarks.geneval.prompts import Metadata, Requirement

TASKS = (*SIZES, "colored_position", "colored_counting", "scene", "arrangement")
tasks = st.sampled_from(TASKS)
rngs = st.integers(0, 2**32).map(np.random.default_rng)


def detection(thing: Object) -> Detection:
    """What a perfect detector finds."""
    seen = coverage(thing) > 0.5
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return Detection(box, 1.0, thing.color)


def clause(phrase: Phrase) -> Requirement:
    required: Requirement = {"class": phrase.shape, "count": phrase.count}
    if phrase.color:
        required["color"] = phrase.color
    return required


def shown(scene: Scene, description: Description) -> rules.Verdict:
    """GenEval's verdict on a perfectly detected scene; only numbers above one exclude further objects."""
    include = [clause(phrase) for phrase in description.phrases]
    backwards = len(include) - 1
    for index, relation in enumerate(description.relations):
        if relation:
            include[index]["position"] = [relation, backwards - index - 1]
    include.reverse()  # a target stands before what is told of it
    metadata: Metadata = {
        "tag": "counting",
        "include": include,
        "exclude": [{"class": p.shape, "count": p.count + 1} for p in description.phrases if p.count > 1],
        "prompt": description.text(),
    }
    found: dict[str, list[Detection]] = {}
    for thing in scene.objects:
        found.setdefault(thing.shape, []).append(detection(thing))
    return rules.verdict(metadata, found)


@settings(max_examples=150, deadline=None)
@given(rngs, tasks)
def test_a_scene_shows_what_its_description_says_and_nothing_else(
    rng: np.random.Generator, task: str
) -> None:
    description = random_description(rng, task)
    scene = scene_for(rng, description)
    assert shown(scene, description).reason == ""
    said = Counter({phrase.shape: phrase.count for phrase in description.phrases})
    assert Counter(thing.shape for thing in scene.objects) == said
    assert description.count == len(scene.objects)


@settings(max_examples=100, deadline=None)
@given(rngs, st.sampled_from(RELATIONS), st.sampled_from(["position", "colored_position"]))
def test_relations_hold_by_genevals_rule_and_no_other_does(
    rng: np.random.Generator, relation: str, task: str
) -> None:
    phrases = random_description(rng, task).phrases
    first, second = scene_for(rng, Description(phrases, (relation,))).objects
    assert rules.relations(detection(first), detection(second)) == (relation,)
    assert rules.relations(detection(second), detection(first)) == (OPPOSITE[relation],)


@settings(max_examples=200, deadline=None)
@given(rngs, tasks, st.sampled_from(NEGATIVES))
def test_near_misses_are_false(rng: np.random.Generator, task: str, kind: str) -> None:
    description = random_description(rng, task)
    wrong = negative(rng, description, kind)
    if wrong is None:
        return
    assert wrong.text() != description.text()
    assert wrong.count <= 4
    scene = scene_for(rng, description)
    says_one_of_many = kind == "wrong count" and wrong.count == 1
    # GenEval accepts "a star" for three stars, since only numbers exclude further objects; the reward does not.
    assert shown(scene, wrong).correct == says_one_of_many


POSSIBLE = {
    "single_object": {"wrong count", "missing object", "wrong shape"},
    "two_object": {"missing object", "wrong shape"},
    "colors": {"wrong count", "missing object", "wrong shape", "wrong color"},
    "position": {"swapped positions", "wrong shape"},
    "color_attr": {"swapped colors", "missing object", "wrong shape", "wrong color"},
    "colored_position": {"swapped colors", "swapped positions", "wrong shape", "wrong color"},
    "scene": {"swapped colors", "missing object", "wrong shape", "wrong color"},
    "arrangement": {"swapped colors", "swapped positions", "wrong shape", "wrong color"},
}


@pytest.mark.parametrize("task", POSSIBLE)
def test_which_near_misses_exist(task: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        description = random_description(rng, task)
        assert {kind for kind in NEGATIVES if negative(rng, description, kind)} == POSSIBLE[task]


def test_a_near_miss_never_needs_more_objects_than_fit() -> None:
    rng = np.random.default_rng(0)
    three, four = (Description((Phrase("star", count=n),)) for n in (3, 4))
    assert negative(rng, four, "missing object") is None
    more = negative(rng, three, "missing object")
    assert more is not None
    assert more.count == 4
    counts = {(negative(rng, three, "wrong count") or three).count for _ in range(60)}
    assert counts == {1, 2, 4}


def test_swaps_are_exact() -> None:
    rng = np.random.default_rng(0)
    description = Description((Phrase("ring", "red"), Phrase("star", "blue")), ("above",))
    colors = negative(rng, description, "swapped colors")
    assert colors == Description((Phrase("ring", "blue"), Phrase("star", "red")), ("above",))
    places = negative(rng, description, "swapped positions")
    assert places == Description(description.phrases, ("below",))


def test_one_swap_of_many_leaves_the_rest_as_it_is() -> None:
    rng = np.random.default_rng(0)
    colored = tuple(map(Phrase, SHAPES[:4], COLORS[:4]))
    description = Description(colored, ("above", None, "below"))
    assert {wrong.relations for wrong in swaps(rng, description, "swapped positions")} == {
        ("below", None, "below"),
        ("above", None, "above"),
    }
    for wrong in swaps(rng, description, "swapped colors"):
        changed = [a.color != b.color for a, b in zip(wrong.phrases, colored, strict=True)]
        assert sum(changed) == 2
        assert changed.index(True) + 1 == 3 - changed[::-1].index(True)  # neighbors


def swaps(rng: np.random.Generator, description: Description, kind: str) -> set[Description]:
    drawn = {negative(rng, description, kind) for _ in range(30)}
    return {wrong for wrong in drawn if wrong is not None}


def test_captions_join_phrases_by_relations_and_and() -> None:
    a, b, c = Phrase("ring", "red"), Phrase("star", count=2), Phrase("moon")
    assert Description((a, b, c)).text() == "a photo of a red ring and two stars and a moon"
    assert Description((a, b, c), ("above", None)).text("a drawing of") == (
        "a drawing of a red ring above two stars and a moon"
    )
    with pytest.raises(ValueError, match="3 phrases are not joined by 1 relations"):
        Description((a, b, c), ("above",))


@settings(max_examples=60, deadline=None)
@given(rngs, st.sampled_from(["single_object", "two_object", "counting", "position"]))
def test_open_colors_avoid_the_held_out_pairs(rng: np.random.Generator, task: str) -> None:
    scene = scene_for(rng, random_description(rng, task), HELD_OUT_PAIRS)
    assert not {(thing.shape, thing.color) for thing in scene.objects} & HELD_OUT_PAIRS


def test_open_colors_use_the_whole_palette() -> None:
    rng = np.random.default_rng(0)
    description = Description((Phrase("star", count=4),))
    drawn = {thing.color for _ in range(40) for thing in scene_for(rng, description).objects}
    assert drawn == set(COLORS)


@pytest.mark.parametrize("task", TASKS)
def test_descriptions_vary(task: str) -> None:
    rng = np.random.default_rng(0)
    drawn = [random_description(rng, task) for _ in range(300)]
    assert {phrase.shape for d in drawn for phrase in d.phrases} == set(SHAPES)
    related = "position" in task or task == "arrangement"
    assert {relation for d in drawn for relation in d.relations if relation} == set(
        RELATIONS if related else ()
    )
    assert {phrase.count for d in drawn for phrase in d.phrases} == ({2, 3, 4} if "counting" in task else {1})


def test_unknown_task() -> None:
    with pytest.raises(ValueError, match="colour"):
        random_description(np.random.default_rng(0), "colour")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0), (10, 0), {"left of"}),
        ((10, 4.6), (0, 0), set()),
        ((10, 4.5), (0, 0), {"right of"}),
        ((0, 0), (4, 10), {"above"}),
        ((3, 10), (3, 0), {"below"}),
        ((10, 5), (0, 0), set()),
        ((7, 7), (7, 7), set()),
    ],
)
def test_holds(first: tuple[float, float], second: tuple[float, float], expected: set[str]) -> None:
    assert {relation for relation in RELATIONS if holds(relation, first, second)} == expected
