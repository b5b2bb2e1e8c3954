"""The embedded world's counterpart of T2I-CompBench: two colored shapes a prompt, and the classical judge's answers.

`color` names two shapes that differ in color too, from combinations that no training caption holds. `shape` names two
shapes of one color, which only their outlines tell apart; training never shows two of one color. There is no `texture`:
that world's objects are flat.
"""

from __future__ import annotations

from itertools import combinations, permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from hypernoise.shapes.captions import Description, Phrase
from hypernoise.shapes.judge import detect
from hypernoise.shapes.suite import reserved
from hypernoise.shapes.vocabulary import COLORS, SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SEED, PROMPTS = 44, 90


def shapes_prompts() -> list[dict[str, Any]]:
    """Prompts of both categories, always the same: category, prompt, and its phrases."""
    pairs = list(combinations(SHAPES, 2))
    candidates = {
        "color": [
            description
            for (a, b), (red, blue) in product(pairs, permutations(COLORS, 2))
            if reserved(description := Description((Phrase(a, red), Phrase(b, blue))))
        ],
        "shape": [
            Description((Phrase(a, color), Phrase(b, color))) for (a, b), color in product(pairs, COLORS)
        ],
    }
    rng = np.random.default_rng(SEED)
    return [
        {
            "category": category,
            "prompt": found[index].text(),
            "phrases": [phrase.text() for phrase in found[index].phrases],
        }
        for category, found in candidates.items()
        for index in sorted(rng.permutation(len(found))[:PROMPTS].tolist())
    ]


def answer(images: Sequence[NDArray[np.uint8]], questions: Sequence[Sequence[str]]) -> list[list[float]]:
    """P(yes), 0..1, of each question such as "a red circle?": the best score of such an object in the image."""
    answers = []
    for image, of in zip(images, questions, strict=True):
        best: dict[str, float] = {}
        for thing in reversed(detect(image)):  # the best score comes last
            best[f"{Phrase(thing.shape, thing.color).text()}?"] = thing.score
        answers.append([best.get(question, 0.0) for question in of])
    return answers
