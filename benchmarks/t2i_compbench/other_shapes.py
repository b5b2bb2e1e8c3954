"""The embedded world's counterpart of T2I-CompBench's other categories, judged by the classical detector.

`spatial` names two colored shapes in a relation, from combinations that no training caption holds; the rules look at
the shapes alone. `numeracy` names one kind of shape, or two kinds with a number each, which training never shows.
There is no `non_spatial` and no `complex`: that world's captions say nothing else.
"""

from __future__ import annotations

from itertools import combinations, permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.t2i_compbench.boxes import Detection
from hypernoise.shapes.captions import Description, Phrase
from hypernoise.shapes.judge import detect
from hypernoise.shapes.suite import reserved
from hypernoise.shapes.vocabulary import COLORS, SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SEED, PROMPTS = 46, 90
MOST = 4
"""Objects that a scene has room for."""

THRESHOLD = 0.5
"""Objects must score above it, as in the published scripts."""

RELATIONS = {
    "left of": "on the left of",
    "right of": "on the right of",
    "above": "on the top of",
    "below": "on the bottom of",
}
"""The published rules' name of each relation."""


def shapes_prompts() -> list[dict[str, Any]]:
    """Prompts of both categories, always the same: category, prompt, and what the rules ask for."""
    rng = np.random.default_rng(SEED)
    candidates = {"spatial": _placed(), "numeracy": _counted()}
    return [
        {"category": category, "prompt": found[index].text(), **asked_of(found[index])}
        for category, found in candidates.items()
        for index in sorted(rng.permutation(len(found))[:PROMPTS].tolist())
    ]


def asked_of(description: Description) -> dict[str, Any]:
    """The two objects of a description and their relation, or the number of each shape."""
    if description.relations:
        (relation,) = description.relations
        return {
            "objects": [phrase.shape for phrase in description.phrases],
            "relation": RELATIONS[relation or ""],
        }
    return {"counts": [[phrase.shape, phrase.count] for phrase in description.phrases]}


def _placed() -> list[Description]:
    return [
        description
        for (a, b), (red, blue), relation in product(
            permutations(SHAPES, 2), permutations(COLORS, 2), RELATIONS
        )
        if reserved(description := Description((Phrase(a, red), Phrase(b, blue)), (relation,)))
    ]


def _counted() -> list[Description]:
    numbers = range(1, MOST + 1)
    one = [Description((Phrase(shape, count=n),)) for shape, n in product(SHAPES, numbers) if n > 1]
    two = [
        Description((Phrase(a, count=n), Phrase(b, count=m)))
        for (a, b), n, m in product(combinations(SHAPES, 2), numbers, numbers)
        if 2 < n + m <= MOST
    ]
    return [*one, *two]


def find(
    images: Sequence[NDArray[np.uint8]], nouns: Sequence[Sequence[str]]
) -> list[dict[str, list[Detection]]]:
    """The shapes of images uint8 [32, 32, 3] by name, of those each is asked for, the most confident first."""
    found: list[dict[str, list[Detection]]] = []
    for image, asked in zip(images, nouns, strict=True):
        shown: dict[str, list[Detection]] = {shape: [] for shape in asked}
        for thing in detect(image):
            if thing.shape in shown and thing.score > THRESHOLD:
                shown[thing.shape].append(Detection(thing.box, thing.score))
        found.append(shown)
    return found
