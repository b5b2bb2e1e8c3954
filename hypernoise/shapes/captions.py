"""What a caption says, as data: from it come the text, scenes that show it, and captions that are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    """The content of a caption: phrases joined by "and", or two phrases joined by a relation."""

    phrases: tuple[Phrase, ...]
    relation: str | None = None

    def text(self, frame: str = FRAMES[0]) -> str:
        """The caption, such as "a photo of a star left of a ring"."""
        joint = f" {self.relation} " if self.relation else " and "
        return f"{frame} {joint.join(phrase.text() for phrase in self.phrases)}"

    @property
    def count(self) -> int:
        """Number of objects described."""
        return sum(phrase.count for phrase in self.phrases)


def holds(relation: str, first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether the relation holds between two centers (x, y), clearly and as the only one of the four."""
    dx, dy = first[0] - second[0], first[1] - second[1]
    along, across = (dx, dy) if relation in ("left of", "right of") else (dy, dx)
    sign = -1 if relation in ("left of", "above") else 1
    return sign * along > 2.2 * abs(across)


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
    while True:
        layout = random_layout(rng, shapes)
        if description.relation is None or holds(description.relation, layout[0][:2], layout[1][:2]):
            break
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
    """A random description of one of GenEval's tasks, or of `scene`: three objects or counted colored ones."""
    first, second, third = (str(shape) for shape in rng.choice(SHAPES, 3, replace=False))
    red, blue, green = (str(color) for color in rng.choice(COLORS, 3, replace=False))
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
            return Description((Phrase(first), Phrase(second)), str(rng.choice(RELATIONS)))
        case "color_attr":
            return Description((Phrase(first, red), Phrase(second, blue)))
        case "colored_position":
            return Description((Phrase(first, red), Phrase(second, blue)), str(rng.choice(RELATIONS)))
        case "colored_counting":
            return Description((Phrase(first, red, int(rng.integers(2, 5))),))
        case "scene":
            return Description((Phrase(first, red), Phrase(second, blue), Phrase(third, green)))
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
            a, b = phrases[0], phrases[1]
            return replace(
                description, phrases=(replace(a, color=b.color), replace(b, color=a.color), *phrases[2:])
            )
        case "swapped positions" if description.relation:
            return replace(description, relation=OPPOSITE[description.relation])
        case "wrong count" if len(phrases) == 1:
            counts = [count for count in (1, 2, 3, 4) if count != chosen.count]
            return with_phrase(replace(chosen, count=int(rng.choice(counts))))
        case "missing object" if description.relation is None and description.count < 4:
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
