"""The embedded world's rewriter: its captions told otherwise by fixed rules, without a language model.

It may do what a language model is asked to: use other words, change the order, and settle what the prompt leaves
open, such as a color that is not named. What the prompt says stays said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hypernoise.rewriters.protocol import Answer, Rewriter
from hypernoise.shapes.captions import Description, Phrase
from hypernoise.shapes.suite import mirrored
from hypernoise.shapes.vocabulary import COLORS, FRAMES, MAX_TOKENS, NUMBERS, RELATIONS, SHAPES, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from hypernoise.hub import HubFiles
    from hypernoise.rewriters.protocol import ChatSettings, Question

ATTEMPTS = 40
"""Draws for each rewrite that is wanted; short prompts have few rewrites."""

SECOND_CHANGE = 0.5
"""Probability that a rewrite differs from the one it comes from in two things."""

_COUNTS = {"a": 1, "an": 1} | {NUMBERS[count]: count for count in (2, 3, 4)}
_NOUNS = {noun: shape for shape in SHAPES for noun in (shape, plural(shape))}
_JOINT = re.compile(f" ({'|'.join(['and', *RELATIONS])}) ")


@dataclass(frozen=True)
class Wording:
    """A description, told once in each frame."""

    frames: tuple[str, ...]
    description: Description

    def text(self) -> str:
        """The caption, such as "a photo of a ring, a drawing of a ring"."""
        return ", ".join(map(self.description.text, self.frames))


def read_phrase(text: str) -> Phrase:
    """The phrase that "a red circle" or "three stars" is.

    Raises:
        KeyError or ValueError: if it is none.
    """
    count, *colors, noun = text.split()
    if len(colors) > 1 or not set(colors) <= set(COLORS):
        raise ValueError(f"{text!r} is not a phrase")
    return Phrase(_NOUNS[noun], colors[0] if colors else None, _COUNTS[count])


def read_wording(caption: str) -> Wording | None:
    """The wording that a caption is, or None if it is none of the embedded world's."""
    told = [(frame, part) for part in caption.split(", ") for frame in FRAMES if part.startswith(frame)]
    contents = {part.removeprefix(frame).strip() for frame, part in told}
    if len(contents) != 1:
        return None
    words, *rest = _JOINT.split(contents.pop())
    relations = tuple(None if joint == "and" else joint for joint in rest[::2])
    try:
        phrases = tuple(map(read_phrase, [words, *rest[1::2]]))
    except (KeyError, ValueError):
        return None
    description = Description(phrases, relations if any(relations) else ())
    wording = Wording(tuple(frame for frame, _ in told), description)
    return wording if wording.text() == caption else None


def other_frames(rng: np.random.Generator, wording: Wording, original: Description) -> Wording:
    """In another frame, or told twice."""
    del original
    chosen = rng.choice(FRAMES, size=int(rng.integers(1, 3)), replace=False)
    return replace(wording, frames=tuple(map(str, chosen)))


def other_color(rng: np.random.Generator, wording: Wording, original: Description) -> Wording:
    """With a color, another one or none for a shape whose color the prompt leaves open."""
    free = {phrase.shape for phrase in original.phrases if phrase.color is None}
    places = [place for place, phrase in enumerate(wording.description.phrases) if phrase.shape in free]
    if not places:
        return wording
    phrases = list(wording.description.phrases)
    place = int(rng.choice(places))
    color = str(rng.choice(["", *COLORS])) or None
    phrases[place] = replace(phrases[place], color=color)
    return replace(wording, description=replace(wording.description, phrases=tuple(phrases)))


def other_joint(rng: np.random.Generator, wording: Wording, original: Description) -> Wording:
    """With two shapes in a relation, another one or none, where the prompt leaves it open."""
    if len(original.phrases) != 2 or original.relations:
        return wording
    relation = str(rng.choice(["", *RELATIONS]))
    relations = (relation,) if relation else ()
    return replace(wording, description=replace(wording.description, relations=relations))


def other_order(rng: np.random.Generator, wording: Wording, original: Description) -> Wording:
    """Told from the other shape."""
    del rng, original
    description = wording.description
    if len(description.phrases) != 2:
        return wording
    turned = mirrored(description) if description.relations else Description(description.phrases[::-1])
    return replace(wording, description=turned)


CHANGES: tuple[Callable[[np.random.Generator, Wording, Description], Wording], ...] = (
    other_frames,
    other_color,
    other_joint,
    other_order,
)


def changed(rng: np.random.Generator, wording: Wording, original: Description) -> Wording:
    """The wording after one or two changes."""
    for _ in range(1 + int(rng.random() < SECOND_CHANGE)):
        wording = CHANGES[rng.integers(len(CHANGES))](rng, wording, original)
    return wording


def rewrites(question: Question, original: Wording) -> list[str]:
    """At most `question.count` new captions, each made from one of the best so far, the better the likelier."""
    rng = np.random.default_rng(question.key)
    parents = [wording for text, _ in question.scored if (wording := read_wording(text))]
    found: list[str] = []
    for _ in range(ATTEMPTS * question.count):
        parent = parents[min(int(rng.geometric(0.5)), len(parents)) - 1]
        text = changed(rng, parent, original.description).text()
        if text not in question.tried and text not in found and len(text.split()) <= MAX_TOKENS:
            found.append(text)
        if len(found) == question.count:
            break
    return found


class ShapesRewriter(Rewriter):
    """Tells captions otherwise; a prompt that can be told in few ways runs out of them."""

    name: ClassVar[str] = "shapes"
    sources: ClassVar[tuple[HubFiles, ...]] = ()

    def __init__(self, settings: ChatSettings) -> None:
        del settings

    def identity(self) -> dict[str, Any]:
        """What a reader of the table must know."""
        return {"rewritten by": "fixed rules of the embedded world instead of a language model"}

    def attach(self, device: torch.device) -> None:
        """Nothing is needed."""

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Rewrites of the captions; another text is a failure."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Answer:
        original = read_wording(question.prompt)
        if original is None:
            return Answer((), failure="malformed: the prompt is not a caption of the embedded world")
        return Answer(tuple(rewrites(question, original)))
