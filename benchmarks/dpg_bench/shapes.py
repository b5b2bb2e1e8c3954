"""The embedded world's counterpart of DPG-Bench: its longest captions, and the classical judge's answers.

`scene` names three colored shapes, `arrangement` two pairs of them with relations; all from combinations that no
training caption holds. Asked is for each shape, for its color, for each relation and for the number of objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.dpg_bench.prompts import Item
from benchmarks.dpg_bench.rules import Question
from benchmarks.geneval.rules import Detection, relations
from hypernoise.shapes.captions import Description, Phrase, random_description
from hypernoise.shapes.judge import detect
from hypernoise.shapes.suite import reserved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypernoise.shapes.judge import Found

SEED, PROMPTS = 45, 60
TASKS = ("scene", "arrangement")
THRESHOLD = 0.3
"""Objects must score above it, as GenEval's."""


def shapes_items() -> list[Item]:
    """60 prompts of each task with their questions, always the same."""
    rng = np.random.default_rng(SEED)
    items: dict[str, Item] = {}
    for number, task in enumerate(TASKS, start=1):
        while len(items) < number * PROMPTS:
            description = random_description(rng, task)
            if reserved(description):
                name = f"{task}{len(items) % PROMPTS}"
                items.setdefault(description.text(), Item(name, description.text(), questions(description)))
    return list(items.values())


def questions(description: Description) -> tuple[Question, ...]:
    """The questions about a description: entities, their colors, relations, and the count."""
    found: list[Question] = []

    def ask(text: str, category: str, *parents: int) -> int:
        found.append(Question(len(found) + 1, text, parents, category))
        return len(found)

    entities = []
    for phrase in description.phrases:
        entities.append(ask(f"Is there {Phrase(phrase.shape).text()}?", "entity - whole"))
        ask(f"Is the {phrase.shape} {phrase.color}?", "attribute - color", entities[-1])
    named = list(zip(description.phrases, entities, strict=True))
    for relation, ((a, one), (b, other)) in zip(description.relations, pairwise(named), strict=False):
        if relation:
            ask(f"Is the {a.shape} {relation} the {b.shape}?", "relation - spatial", one, other)
    ask(f"Are there {len(named)} objects?", "other - count")
    return tuple(found)


@dataclass(frozen=True)
class Seen:
    """The objects of one image, the most confident first."""

    things: Sequence[Found]

    def says(self, question: str) -> bool:
        """The answer to a question of `questions`; of several objects of one shape the most confident is meant."""
        match question.removesuffix("?").split():
            case ["Is", "there", _, shape]:
                return self._first(shape) is not None
            case ["Are", "there", count, "objects"]:
                return len(self.things) == int(count)
            case ["Is", "the", shape, color]:
                thing = self._first(shape)
                return thing is not None and thing.color == color
            case ["Is", "the", a, *relation, "the", b]:
                one, other = self._first(a), self._first(b)
                return (
                    one is not None
                    and other is not None
                    and " ".join(relation)
                    in relations(Detection(one.box, one.score), Detection(other.box, other.score))
                )
            case _:
                raise ValueError(f"nobody asks {question!r}")

    def _first(self, shape: str) -> Found | None:
        return next((thing for thing in self.things if thing.shape == shape), None)


def answer(images: Sequence[NDArray[np.uint8]], asked: Sequence[Sequence[str]]) -> list[list[float]]:
    """1.0 for yes and 0.0 for no, of each question about its image."""
    answers = []
    for image, of in zip(images, asked, strict=True):
        seen = Seen([thing for thing in detect(image) if thing.score > THRESHOLD])
        answers.append([float(seen.says(question)) for question in of])
    return answers
