"""DPG-Bench's scores from answers to its questions.

The rules are those of TencentQQGYLab/ELLA `dpg_bench/compute_dpg_bench.py`, in two variants. The default one does what
the benchmark says: a question counts if it and all that it depends on, directly or not, got "yes"; one that depends on
a question that is not there depends on nothing by it. `as_published` does
what the script does: zeroes fall through in row order alone, a question that depends on a missing one makes its image
fail, and a failed image is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CATEGORIES = ("global", "entity", "attribute", "relation", "other")
"""The first level of categories; the second is what follows the hyphen, such as "attribute - color"."""


class MissingQuestionError(ValueError):
    """A question depends on one that is not there."""


@dataclass(frozen=True)
class Question:
    """One yes-or-no question: its number, the numbers that it depends on, and its category of both levels."""

    number: int
    text: str
    parents: tuple[int, ...]
    category: str


def undefined(questions: Sequence[Question]) -> list[int]:
    """Numbers that questions depend on and that none of them has."""
    known = {question.number for question in questions}
    return [parent for question in questions for parent in question.parents if parent not in known]


def credited(
    questions: Sequence[Question], yes: Mapping[int, bool], *, as_published: bool = False
) -> dict[int, bool]:
    """Whether each question counts, by number; `yes` has the answer to every one.

    Raises:
        MissingQuestionError: if, as published, a parent is asked for that is not among the questions.
    """
    counts = dict(yes)
    if as_published:
        for question in questions:
            counts[question.number] &= _parents_hold(question, counts)
        return counts
    changed = True
    while changed:
        before = dict(counts)
        for question in questions:
            counts[question.number] &= all(counts.get(parent, True) for parent in question.parents)
        changed = counts != before
    return counts


def _parents_hold(question: Question, counts: Mapping[int, bool]) -> bool:
    for parent in question.parents:
        if parent not in counts:
            raise MissingQuestionError(f"question {question.number} depends on {parent}, which is not there")
        if not counts[parent]:
            return False
    return True


def image_score(
    questions: Sequence[Question], yes: Mapping[int, bool], *, as_published: bool = False
) -> float:
    """Share of an image's questions that count, 0..1; raises as `credited` does."""
    return sum(credited(questions, yes, as_published=as_published).values()) / len(questions)


def category_scores(answers: Iterable[tuple[str, bool]], level: int) -> dict[str, float]:
    """Share of "yes" of each category, 0..1, from (category, answer) before any dependency is looked at.

    Args:
        answers: Of all questions about all images.
        level: 1 for "attribute", 2 for "attribute - color".
    """
    found: dict[str, list[bool]] = {}
    for category, yes in answers:
        found.setdefault(first_level(category) if level == 1 else category, []).append(yes)
    return {category: sum(of) / len(of) for category, of in found.items()}


def first_level(category: str) -> str:
    """What stands before the hyphen of a category, such as "attribute"."""
    return category.partition("-")[0].strip()
