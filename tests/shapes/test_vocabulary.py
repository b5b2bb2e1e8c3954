"""The world's words: every caption can be read, and nothing else is taken for a word."""

from __future__ import annotations

import pytest

from benchmarks.geneval import prompts
from hypernoise.shapes import vocabulary
from hypernoise.shapes.captions import Description, Phrase
from hypernoise.shapes.vocabulary import MAX_TOKENS, PAD, UNKNOWN, WORDS, tokenize


def test_words_are_distinct_and_special_ones_come_first() -> None:
    assert len(set(WORDS)) == len(WORDS)
    assert (WORDS[PAD], WORDS[UNKNOWN]) == ("<pad>", "<unknown>")


def test_grammar_is_genevals() -> None:
    assert vocabulary.COLORS == prompts.COLORS
    assert vocabulary.RELATIONS == prompts.RELATIONS
    assert prompts.NUMBERS[: len(vocabulary.NUMBERS)] == vocabulary.NUMBERS
    assert all(vocabulary.plural(shape) == prompts.plural(shape) for shape in vocabulary.SHAPES)


@pytest.mark.parametrize("frame", vocabulary.FRAMES)
def test_the_longest_captions_are_read_whole(frame: str) -> None:
    colored = [Phrase(shape, "orange") for shape in ("circle", "square", "star")]
    captions = [
        Description(tuple(colored)).text(frame),
        Description(tuple(colored[:2]), ("right of",)).text(frame),
        Description((Phrase("cross", "orange", 4),)).text(frame),
    ]
    for caption, row in zip(captions, tokenize(captions), strict=True):
        read = [WORDS[index] for index in row if index != PAD]
        assert UNKNOWN not in row
        assert read == caption.split()


def test_tokens_of_a_caption() -> None:
    tokens = tokenize(["A photo of a Red circle, two stars.", ""])
    assert tokens.shape == (2, MAX_TOKENS)
    words = ["a", "photo", "of", "a", "red", "circle", "two", "stars"]
    assert [WORDS[index] for index in tokens[0]] == words + [WORDS[PAD]] * (MAX_TOKENS - len(words))
    assert (tokens[1] == PAD).all()


def test_foreign_words_are_unknown_and_long_captions_are_cut() -> None:
    assert tokenize(["a giraffe <pad>s"])[0, 1:3].tolist() == [UNKNOWN, UNKNOWN]
    long = tokenize(["star " * (MAX_TOKENS + 5)])
    assert long.shape == (1, MAX_TOKENS)
    assert (long == WORDS.index("star")).all()


def test_palette_colors_differ_clearly_from_each_other_and_from_the_ground() -> None:
    colors = list(vocabulary.PALETTE.values())
    for index, one in enumerate(colors):
        others = [*colors[index + 1 :], (0.45,) * 3, (0.60,) * 3]
        for other in others:
            assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.17
