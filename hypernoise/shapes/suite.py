"""The embedded world's evaluation prompts, and what training must never see because of them."""

from __future__ import annotations

from functools import cache
from itertools import combinations, pairwise, product
from zlib import crc32

import numpy as np

from hypernoise.shapes.captions import OPPOSITE, Description, Phrase
from hypernoise.shapes.vocabulary import COLORS, FRAMES, RELATIONS, SHAPES

SUITE_SEED = 43
SIZES = {
    "single_object": 8,
    "two_object": 28,
    "counting": 24,
    "colors": 60,
    "position": 90,
    "color_attr": 90,
}
"""Prompts of each task; the first three tasks hold every combination that there is (two objects: in one order)."""

HELD_OUT_PAIRS = frozenset(
    {
        ("circle", "purple"),
        ("square", "pink"),
        ("triangle", "blue"),
        ("star", "green"),
        ("ring", "orange"),
        ("cross", "brown"),
        ("heart", "white"),
        ("moon", "red"),
    }
)
"""(shape, color) pairs that no training scene or caption contains."""

RESERVED_PART = 8
"""One in so many combinations of colored phrases is left to evaluations other than the suite's."""

HELD_OUT_ARRANGEMENTS = 24
"""How many (shape, relation, shape) triples no training caption contains, in neither of their two wordings."""


def mirrored(description: Description) -> Description:
    """The same arrangement told from the other object: "A left of B" becomes "B right of A"."""
    if len(description.relations) != 1 or description.relations[0] is None:
        raise ValueError("only a description of two phrases in a relation can be mirrored")
    return Description(description.phrases[::-1], (OPPOSITE[description.relations[0]],))


def _shuffled(items: list[Description], rng: np.random.Generator, first: int) -> list[Description]:
    return [items[index] for index in rng.permutation(len(items))[:first]]


@cache
def evaluation_suite() -> tuple[tuple[str, Description], ...]:
    """All 300 evaluation prompts as (task, description), task by task in Table 1's order; always the same."""
    rng = np.random.default_rng(SUITE_SEED)
    pairs = list(combinations(SHAPES, 2))
    colored = [Phrase(shape, color) for shape, color in product(SHAPES, COLORS)]
    held_out = [phrase for phrase in colored if (phrase.shape, phrase.color) in HELD_OUT_PAIRS]
    seen = [phrase for phrase in colored if phrase not in held_out]
    candidates = {
        "single_object": [Description((Phrase(shape),)) for shape in SHAPES],
        "two_object": [Description((Phrase(a), Phrase(b))) for a, b in pairs],
        "counting": [Description((Phrase(shape, count=n),)) for shape in SHAPES for n in (2, 3, 4)],
        "colors": [Description((phrase,)) for phrase in [*held_out, *seen]],
        "position": [
            Description((Phrase(a), Phrase(b)), (relation,))
            for a, b in product(SHAPES, SHAPES)
            if a != b
            for relation in RELATIONS
        ],
        "color_attr": [
            Description((a, b))
            for a, b in product(colored, colored)
            if a.shape != b.shape and a.color != b.color
        ],
    }
    chosen = []
    for task, size in SIZES.items():
        options = candidates[task]
        fixed = options[: len(held_out)] if task == "colors" else []
        drawn = _shuffled(options[len(fixed) :], rng, size - len(fixed))
        chosen += [(task, description) for description in [*fixed, *drawn]]
    return tuple(chosen)


def _arrangements(description: Description) -> set[tuple[str, str, str]]:
    """The (shape, relation, shape) triples of a description."""
    joined = zip(pairwise(description.phrases), description.relations, strict=False)
    return {(a.shape, relation, b.shape) for (a, b), relation in joined if relation}


@cache
def _held_out_arrangements() -> frozenset[tuple[str, str, str]]:
    positions = [description for task, description in evaluation_suite() if task == "position"]
    both = [_arrangements(d) | _arrangements(mirrored(d)) for d in positions[:HELD_OUT_ARRANGEMENTS]]
    return frozenset().union(*both)


@cache
def _evaluation_texts() -> frozenset[str]:
    return frozenset(description.text() for _, description in evaluation_suite())


@cache
def _unseen_descriptions() -> frozenset[Description]:
    tasks = {"two_object", "position", "color_attr"}
    return frozenset(description for task, description in evaluation_suite() if task in tasks)


def reserved(description: Description) -> bool:
    """Whether a description of several colored phrases is kept from training for evaluation, as one in eight is.

    It depends on the set of phrases alone, in whatever order and relation they are named.
    """
    named = sorted(phrase.text() for phrase in description.phrases if phrase.color)
    return len(named) > 1 and crc32(" ".join(named).encode()) % RESERVED_PART == 0


def may_train(description: Description, frame: str) -> bool:
    """Whether a training caption may say `description` in this frame.

    Refused are every evaluation prompt's text, every two-object, position and attribution content of the
    suite in any frame, whatever contains a held-out pair or arrangement, and what is `reserved`. Single objects,
    counts and colors of the suite may be trained on in other frames: there are not enough of them to hold back.
    """
    if any((phrase.shape, phrase.color) in HELD_OUT_PAIRS for phrase in description.phrases):
        return False
    if reserved(description) or _arrangements(description) & _held_out_arrangements():
        return False
    return description not in _unseen_descriptions() and not (
        frame == FRAMES[0] and description.text() in _evaluation_texts()
    )
