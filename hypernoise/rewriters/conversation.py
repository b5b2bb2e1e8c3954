"""What a language model is told, and how its answer is read (after MILS, Ashutosh et al. 2025)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from hypernoise.rewriters.protocol import Answer

if TYPE_CHECKING:
    from hypernoise.rewriters.protocol import Question

INSTRUCTIONS = """\
An image generator is to draw this:

{prompt}

These wordings were tried. Each stands behind the score of its image; a higher score means that the image shows \
better what was to be drawn.

{scored}

Write {count} new wordings whose images will score higher. Keep everything that was to be drawn. You may add detail, \
change the order, merge what the best wordings have in common, leave out what does not help, and try something bold. \
Write one wording a line and nothing else, each shorter than 60 words and behind its number, the first line \
beginning with "1. ".
"""

LONGEST = 1000
"""A line of more characters is no prompt."""

SHOWN = 80
"""So many characters of an answer without rewrites go into the record."""

_NUMBERED = re.compile(r"\s*\d+\. (.*)")


def message(question: Question) -> str:
    """What the language model is told."""
    scored = "\n".join(f"{score:.3f}: {text}" for text, score in question.scored)
    return INSTRUCTIONS.format(prompt=question.prompt, scored=scored, count=question.count)


def numbered_lines(text: str) -> list[str]:
    """The different texts behind a counter such as "1. ", cut at a parenthesis, without exclamation marks."""
    found = (match[1] for line in text.splitlines() if (match := _NUMBERED.match(line)))
    read = (
        "".join(filter(str.isprintable, line.partition("(")[0])).replace("!", "").strip() for line in found
    )
    return list(dict.fromkeys(line for line in read if 0 < len(line) <= LONGEST))


def answered(question: Question, text: str, tokens: int) -> Answer:
    """The answer that a language model's text is."""
    lines = numbered_lines(text)
    new = tuple(line for line in lines if line not in question.tried)[: question.count]
    failure = ""
    if not lines:
        beginning = "".join(filter(str.isprintable, text))[:SHOWN]
        failure = f"malformed: no numbered line in {beginning!r}"
    elif not new:
        failure = "repetition: all rewrites had been tried"
    return Answer(new, calls=1, tokens=tokens, failure=failure)


def sampling_seed(question: Question) -> int:
    """A seed in [0, 2³¹) for the question's own random draws."""
    return int(np.random.SeedSequence(question.key).generate_state(1, np.uint32)[0] >> 1)
