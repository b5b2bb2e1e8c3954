"""The words of the embedded world: its shapes, colors, relations and the tokens that captions are made of."""

from __future__ import annotations

import numpy as np

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "heart", "moon")
"""Object classes, in the order in which benchmark prompts are drawn."""

PALETTE: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.08, 0.10),
    "orange": (1.00, 0.52, 0.00),
    "yellow": (1.00, 0.93, 0.15),
    "green": (0.08, 0.60, 0.15),
    "blue": (0.10, 0.25, 0.92),
    "purple": (0.52, 0.08, 0.66),
    "pink": (1.00, 0.55, 0.76),
    "brown": (0.44, 0.24, 0.08),
    "black": (0.04, 0.04, 0.04),
    "white": (0.97, 0.97, 0.97),
}
"""GenEval's ten colors as RGB in [0, 1]."""

COLORS = tuple(PALETTE)
RELATIONS = ("left of", "right of", "above", "below")
NUMBERS = ("zero", "one", "two", "three", "four")
FRAMES = ("a photo of", "a picture of", "a drawing of", "an image of")
"""Openings of a caption; the benchmark's prompts use the first alone."""

MAX_TOKENS = 24


def plural(shape: str) -> str:
    """Plural of a shape's name, by GenEval's rule ("es" after "s", else "s")."""
    return shape + ("es" if shape.endswith("s") else "s")


def _words() -> tuple[str, ...]:
    function_words = sorted({word for frame in FRAMES for word in frame.split()} | {"and", "of", "a", "an"})
    relation_words = sorted({word for relation in RELATIONS for word in relation.split()} - {"of"})
    nouns = [word for shape in SHAPES for word in (shape, plural(shape))]
    return ("<pad>", "<unknown>", *function_words, *relation_words, *NUMBERS[1:], *COLORS, *nouns)


WORDS = _words()
_INDEX = {word: index for index, word in enumerate(WORDS)}
PAD, UNKNOWN = 0, 1


def tokenize(captions: list[str]) -> np.ndarray:
    """Word indices of captions.

    Args:
        captions: B texts; commas and full stops separate words, words outside the world become UNKNOWN, and
            what follows the first MAX_TOKENS words is cut off.

    Returns:
        int64 [B, MAX_TOKENS], padded with PAD.
    """
    tokens = np.full((len(captions), MAX_TOKENS), PAD, dtype=np.int64)
    for row, caption in enumerate(captions):
        words = caption.lower().replace(",", " ").replace(".", " ").split()[:MAX_TOKENS]
        tokens[row, : len(words)] = [_INDEX.get(word, UNKNOWN) for word in words]
    return tokens
