"""DPG-Bench's judge: a VQA model answers each question, and the rules count.

The published judge is mPLUG-large, whose package cannot be built beside current transformers. Any other model gives
other scores: the table names the one that ran. A probability above one half is a yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.dpg_bench import rules
from benchmarks.dpg_bench.rules import Question
from hypernoise.experiments.benchmark import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hypernoise.experiments.benchmark import Judge, Prompt

    Answers = Callable[[Sequence[NDArray[np.uint8]], Sequence[Sequence[Any]]], list[list[float]]]
    """Gives P(yes) of each question about its image."""


def metadata_of(name: str, text: str, questions: Sequence[Question]) -> dict[str, Any]:
    """A prompt's metadata as plain data."""
    rows = [[each.number, each.text, list(each.parents), each.category] for each in questions]
    return {"item_id": name, "prompt": text, "questions": rows}


def questions_of(metadata: Mapping[str, Any]) -> list[Question]:
    """The questions in a prompt's metadata."""
    return [
        Question(number, text, tuple(parents), category)
        for number, text, parents, category in metadata["questions"]
    ]


def judge_with(answer: Answers, *, as_published: bool = False) -> Judge:
    """The judge that asks `answer`."""

    def judge(images: Sequence[NDArray[np.uint8]], prompts: Sequence[Prompt]) -> list[Judged]:
        asked = [questions_of(prompt.metadata) for prompt in prompts]
        answers = answer(images, [[question.text for question in of] for of in asked])
        return [
            judged(of, [probability > 0.5 for probability in yes], as_published=as_published)
            for of, yes in zip(asked, answers, strict=True)
        ]

    return judge


def judged(questions: Sequence[Question], yes: Sequence[bool], *, as_published: bool = False) -> Judged:
    """The score of an image, its questions having got these answers; the reason names those answered "no"."""
    answers = {question.number: said for question, said in zip(questions, yes, strict=True)}
    details = {"answers": [[question.category, answers[question.number]] for question in questions]}
    score = rules.image_score(questions, answers, as_published=as_published)
    denied = [question.text for question in questions if not answers[question.number]]
    return Judged(score, " ".join(denied), details)
