"""T2I-CompBench's judge: BLIP-VQA is asked for each noun phrase of the prompt, and the published rules count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.t2i_compbench import rules
from hypernoise.experiments.benchmark import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hypernoise.experiments.benchmark import Judge, Prompt

    Vqa = Callable[[Sequence[NDArray[np.uint8]], Sequence[Sequence[str]]], list[list[float]]]
    """Gives P(yes) of each question about its image."""


def judge_with(vqa: Vqa) -> Judge:
    """The judge that asks `vqa`."""

    def judge(images: Sequence[NDArray[np.uint8]], prompts: Sequence[Prompt]) -> list[Judged]:
        asked = [rules.questions(prompt.metadata["phrases"]) for prompt in prompts]
        return [
            judged(dict(zip(of, yes, strict=True))) for of, yes in zip(asked, vqa(images, asked), strict=True)
        ]

    return judge


def judged(answers: dict[str, float]) -> Judged:
    """The score of an image whose questions got these probabilities of "yes"; the reason is the least certain one."""
    score = rules.image_score(list(answers.values()))
    weakest = min(answers, key=lambda question: answers[question])
    printed = {question: rules.rounded(yes) for question, yes in answers.items()}
    return Judged(score, f"{weakest} yes with {printed[weakest]:.2f}", {"answers": printed})
