"""The embedded world's rewriter says otherwise what the prompt says, and nothing against it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernoise.rewriters.protocol import ChatSettings, Question
from hypernoise.rewriters.shapes import ShapesRewriter, Wording, read_wording
from hypernoise.shapes.captions import Description, random_description
from hypernoise.shapes.suite import evaluation_suite, mirrored
from hypernoise.shapes.training.data import TASK_WEIGHTS
from hypernoise.shapes.vocabulary import FRAMES, MAX_TOKENS, UNKNOWN, tokenize

REWRITER = ShapesRewriter(ChatSettings())
SUITE = [description for _, description in evaluation_suite()]


def asked(prompt: str, count: int = 20, seed: int = 0, tried: tuple[str, ...] = ()) -> list[str]:
    scored = [(text, 0.0) for text in (prompt, *tried)]
    (answer,) = REWRITER.answer([Question(prompt, scored, {prompt, *tried}, count, (seed, 1, 2))])
    assert (answer.calls, answer.tokens, answer.failure) == (0, 0, "")
    return list(answer.rewrites)


def keeps(rewritten: Description, original: Description) -> bool:
    """Whether all that `original` says is said; colors and places that it leaves open may be said in addition."""
    if rewritten.relations and original.relations and rewritten.relations != original.relations:
        rewritten = mirrored(rewritten)
    if original.relations and rewritten.relations != original.relations:
        return False
    parts = [(phrase.shape, phrase.count) for phrase in rewritten.phrases]
    if Counter(parts) != Counter((phrase.shape, phrase.count) for phrase in original.phrases):
        return False
    if original.relations and parts != [(phrase.shape, phrase.count) for phrase in original.phrases]:
        return False
    colors = {phrase.shape: phrase.color for phrase in rewritten.phrases}
    return all(phrase.color in (None, colors[phrase.shape]) for phrase in original.phrases)


@given(st.sampled_from(sorted(TASK_WEIGHTS)), st.integers(0, 10_000), st.sampled_from(FRAMES))
def test_captions_are_read_as_they_are_written(task: str, seed: int, frame: str) -> None:
    description = random_description(np.random.default_rng(seed), task)
    assert read_wording(description.text(frame)) == Wording((frame,), description)
    twice = Wording((frame, FRAMES[1]), description)
    assert read_wording(twice.text()) == twice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a dog",
        "a photo of",
        "a photo of a dog",
        "a photo of red circle",
        "a photo of a red blue circle",
        "a photo of five circles",
        "a photo of two circle",
        "a photo of a ring, a photo of a star",
        "a photo of a ring and",
        "A photo of a ring",
        "a photo of a ring, please",
    ],
)
def test_other_texts_are_no_captions(text: str) -> None:
    assert read_wording(text) is None
    (answer,) = REWRITER.answer([Question(text, [(text, 0.0)], {text}, 5, (0,))])
    assert answer.rewrites == ()
    assert answer.failure == "malformed: the prompt is not a caption of the embedded world"


@settings(max_examples=60)
@given(st.sampled_from(SUITE), st.integers(0, 1000))
def test_rewrites_are_new_captions_that_keep_what_is_said(description: Description, seed: int) -> None:
    prompt = description.text()
    first = asked(prompt, count=5, seed=seed)
    second = asked(prompt, count=5, seed=seed + 1, tried=tuple(first))
    together = [*first, *second]
    assert len({prompt, *together}) == 1 + len(together)
    for text in together:
        wording = read_wording(text)
        assert wording is not None
        assert keeps(wording.description, description)
        assert len(text.split()) <= MAX_TOKENS
        assert not (tokenize([text]) == UNKNOWN).any()


def test_a_contradiction_would_be_noticed() -> None:
    """The check above is not empty."""
    said = {
        text: read_wording(f"a photo of {text}")
        for text in ("a star left of a ring", "a star right of a ring", "a red star and a ring")
    }
    left, right, red = (wording.description for wording in said.values() if wording)
    assert keeps(mirrored(left), left)
    assert not keeps(right, left)
    assert not keeps(left, red)
    assert not keeps(red, left)


def test_rewrites_depend_on_the_question_s_key() -> None:
    prompt = "a photo of a star and a ring"
    assert asked(prompt) == asked(prompt)
    assert asked(prompt) != asked(prompt, seed=1)
    assert len(asked(prompt)) == 20


def test_a_prompt_that_can_be_told_in_few_ways_runs_out() -> None:
    found = asked("a photo of a red circle", count=50)
    assert set(found) | {"a photo of a red circle"} == {
        *(f"{frame} a red circle" for frame in FRAMES),
        *(f"{a} a red circle, {b} a red circle" for a in FRAMES for b in FRAMES if a != b),
    }
    assert asked("a photo of a red circle", count=50, tried=tuple(found)) == []


def test_the_table_is_told_that_there_is_no_language_model() -> None:
    assert "instead of a language model" in " ".join(REWRITER.identity().values())
