"""What a caption says, as data: from it come the text, scenes that show it, and captions that are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from hypernoise.shapes.scenes import (
    Object,
    Scene,
    random_ground,
    random_layout,
    random_rgb,
)
from hypernoise.shapes.vocabulary import COLORS, FRAMES, NUMBERS, RELATIONS, SHAPES, plural

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np

    from hypernoise.shapes.scenes import Place

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Phrase:
    """`count` objects of one shape, of one color where `color` is given."""

    shape: str
    color: str | None = None
    count: int = 1

    def text(self) -> str:
        """The phrase in words, such as "a red circle" or "three stars"."""
        noun = self.shape if self.count == 1 else plural(self.shape)
        words = f"{self.color} {noun}" if self.color else noun
        if self.count > 1:
            return f"{NUMBERS[self.count]} {words}"
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@dataclass(frozen=True)
class Description:
    """The content of a caption: phrases, each joined to the next by a relation or, where that is None, by "and".

    No relations at all stands for "and" everywhere.
    """

    phrases: tuple[Phrase, ...]
    relations: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        if self.relations and len(self.relations) != len(self.phrases) - 1:
            raise ValueError(f"{len(self.phrases)} phrases are not joined by {len(self.relations)} relations")

    @property
    def content(self) -> str:
        """The phrases in words, such as "a star left of a ring and a red moon"."""
        joints = [relation or "and" for relation in self.relations or (None,) * (len(self.phrases) - 1)]
        words = [phrase.text() for phrase in self.phrases]
        return " ".join(
            [words[0], *(f"{joint} {word}" for joint, word in zip(joints, words[1:], strict=True))]
        )

    def text(self, frame: str = FRAMES[0]) -> str:
        """The caption, such as "a photo of a star left of a ring"."""
        return f"{frame} {self.content}"

    @property
    def count(self) -> int:
        """Number of objects described."""
        return sum(phrase.count for phrase in self.phrases)


def holds_by(relation: str, first: tuple[float, float], second: tuple[float, float]) -> float:
    """By how much a relation holds between two centers (x, y), in their units; negative where its opposite does."""
    axis = 0 if relation in ("left of", "right of") else 1
    sign = 1 if relation in ("left of", "above") else -1
    return sign * (second[axis] - first[axis])


def holds(relation: str, first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether the relation holds between two centers (x, y), clearly and as the only one of the four."""
    across = "above" if relation in ("left of", "right of") else "left of"
    return holds_by(relation, first, second) > 2.2 * abs(holds_by(across, first, second))


def _arranged(description: Description, layout: list[Place]) -> bool:
    """Whether the first objects of the phrases, as far as they are placed, stand in the relations between these."""
    firsts = [0, *accumulate(phrase.count for phrase in description.phrases)]
    return all(
        relation is None or second >= len(layout) or holds(relation, layout[first][:2], layout[second][:2])
        for relation, (first, second) in zip(description.relations, pairwise(firsts), strict=False)
    )


def scene_for(
    rng: np.random.Generator,
    description: Description,
    without: Collection[tuple[str, str]] = (),
) -> Scene:
    """A random scene that shows exactly what the description says.

    What it leaves open is drawn at random; a color that is left open never makes one of the (shape, color)
    pairs in `without`.
    """
    shapes = [phrase.shape for phrase in description.phrases for _ in range(phrase.count)]
    layout = random_layout(rng, shapes, partial(_arranged, description))
    objects: list[Object] = []
    for phrase in description.phrases:
        for _ in range(phrase.count):
            x, y, radius = layout[len(objects)]
            color = phrase.color or str(
                rng.choice([color for color in COLORS if (phrase.shape, color) not in without])
            )
            objects.append(Object(phrase.shape, color, x, y, radius, random_rgb(rng, color)))
    return Scene(tuple(objects), random_ground(rng))


def random_description(rng: np.random.Generator, task: str) -> Description:
    """A random description of one of GenEval's tasks, of a mixture of them, or a longer one.

    `scene` names three colored objects, `arrangement` two pairs of colored objects, the pairs side
    by side or one below the other, as there is no room for others.
    """
    first, second, *_ = shapes = [str(shape) for shape in rng.choice(SHAPES, 4, replace=False)]
    red, *_ = colors = [str(color) for color in rng.choice(COLORS, 4, replace=False)]
    colored = tuple(map(Phrase, shapes, colors))
    match task:
        case "single_object":
            return Description((Phrase(first),))
        case "two_object":
            return Description((Phrase(first), Phrase(second)))
        case "counting":
            return Description((Phrase(first, count=int(rng.integers(2, 5))),))
        case "colors":
            return Description((Phrase(first, red),))
        case "position":
            return Description((Phrase(first), Phrase(second)), (str(rng.choice(RELATIONS)),))
        case "color_attr":
            return Description(colored[:2])
        case "colored_position":
            return Description(colored[:2], (str(rng.choice(RELATIONS)),))
        case "colored_counting":
            return Description((Phrase(first, red, int(rng.integers(2, 5))),))
        case "scene":
            return Description(colored[:3])
        case "arrangement":
            relation = str(rng.choice(RELATIONS))
            return Description(colored, (relation, None, str(rng.choice([relation, OPPOSITE[relation]]))))
        case _:
            raise ValueError(f"no task is called {task!r}")


NEGATIVES = (
    "swapped colors",
    "swapped positions",
    "wrong count",
    "missing object",
    "wrong shape",
    "wrong color",
)


def _with_swapped_colors(description: Description, index: int) -> Description:
    """The description in which the phrases `index` and `index` + 1 have each other's color."""
    phrases = list(description.phrases)
    one, other = phrases[index : index + 2]
    phrases[index : index + 2] = replace(one, color=other.color), replace(other, color=one.color)
    return replace(description, phrases=tuple(phrases))


def _with_opposite(description: Description, index: int) -> Description:
    """The description in which one relation is its opposite."""
    relations = list(description.relations)
    relations[index] = OPPOSITE[relations[index] or ""]
    return replace(description, relations=tuple(relations))


def negative(rng: np.random.Generator, description: Description, kind: str) -> Description | None:
    """A wrong caption for a scene of `description`: a near miss of one kind, or None where that kind can't be.

    "missing object": the caption names an object that the scene lacks.
    """
    phrases = description.phrases
    index = int(rng.integers(len(phrases)))
    chosen = phrases[index]

    def with_phrase(changed: Phrase) -> Description:
        return replace(description, phrases=(*phrases[:index], changed, *phrases[index + 1 :]))

    match kind:
        case "swapped colors" if len(phrases) > 1 and phrases[0].color:
            return _with_swapped_colors(description, int(rng.integers(len(phrases) - 1)))
        case "swapped positions" if any(description.relations):
            related = [i for i, relation in enumerate(description.relations) if relation]
            return _with_opposite(description, int(rng.choice(related)))
        case "wrong count" if len(phrases) == 1:
            counts = [count for count in (1, 2, 3, 4) if count != chosen.count]
            return with_phrase(replace(chosen, count=int(rng.choice(counts))))
        case "missing object" if not description.relations and description.count < 4:
            absent = [shape for shape in SHAPES if shape not in {phrase.shape for phrase in phrases}]
            color = str(rng.choice(COLORS)) if chosen.color else None
            return replace(description, phrases=(*phrases, Phrase(str(rng.choice(absent)), color)))
        case "wrong shape":
            absent = [shape for shape in SHAPES if shape not in {phrase.shape for phrase in phrases}]
            return with_phrase(replace(chosen, shape=str(rng.choice(absent))))
        case "wrong color" if chosen.color:
            absent = [color for color in COLORS if color not in {phrase.color for phrase in phrases}]
            return with_phrase(replace(chosen, color=str(rng.choice(absent))))
    return None
