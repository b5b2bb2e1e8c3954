"""What a language model is told, and how its answer is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernoise.rewriters.conversation import LONGEST, answered, message, numbered_lines, sampling_seed
from hypernoise.rewriters.protocol import Answer, ChatSettings, Question

QUESTION = Question("a {red} ring", [("a red ring!", 1.23456), ("a ring", -0.5)], {"a ring"}, 3, (0, 1, 2))


def test_the_message_holds_prompt_scores_and_number() -> None:
    told = message(QUESTION)
    assert "\n\na {red} ring\n\n" in told
    assert "\n1.235: a red ring!\n-0.500: a ring\n" in told
    assert "Write 3 new wordings" in told


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("1. a ring\n2. a red ring", ["a ring", "a red ring"]),
        ("Here they are:\n\n 1. a ring \n\n12. two rings\nEnjoy!", ["a ring", "two rings"]),
        ("1. a ring (as asked)\n2. a ring\n3. (nothing)", ["a ring"]),
        ("1. a ring! Really!", ["a ring Really"]),
        ("1) a ring\n- a ring\n1.a ring\na. ring", []),
        ("I cannot help with that.", []),
        ("", []),
        ("1. " + "x" * (LONGEST + 1) + "\n2. a ring", ["a ring"]),
        ("1. a \x1b[31mring\ud800", ["a [31mring"]),
    ],
)
def test_lines_behind_a_counter_are_read(text: str, lines: list[str]) -> None:
    assert numbered_lines(text) == lines


@given(st.text())
def test_whatever_the_text_lines_are_clean(text: str) -> None:
    lines = numbered_lines(f"1. {text}")
    assert len(lines) == len(set(lines))
    for line in lines:
        assert line == line.strip()
        assert line.isprintable()
        line.encode()


def test_an_answer_has_what_is_new_and_no_more_than_asked_for() -> None:
    text = "1. a ring\n2. one\n3. two\n4. three\n5. four"
    assert answered(QUESTION, text, 7) == Answer(("one", "two", "three"), 1, 7)


def test_an_answer_without_rewrites_says_why() -> None:
    assert answered(QUESTION, "Sorry,\nno.", 7) == Answer(
        (), 1, 7, "malformed: no numbered line in 'Sorry,no.'"
    )
    assert answered(QUESTION, "1. a ring", 7) == Answer((), 1, 7, "repetition: all rewrites had been tried")


def test_every_question_has_a_seed_of_its_own() -> None:
    keys = [(seed, prompt, number) for seed in range(4) for prompt in range(5) for number in range(5)]
    seeds = [sampling_seed(Question("", (), (), 1, key)) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"max_tokens": 0},
        {"timeout_seconds": 0.0},
        {"timeout_seconds": float("inf")},
    ],
)
def test_settings_that_cannot_work(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ChatSettings(**changes)  # type: ignore[arg-type]
