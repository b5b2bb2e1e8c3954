"""The judge of T2I-CompBench's other categories: each part of a prompt has its model and its rule.

An image's score is the mean of the parts that its prompt has (see `prompts`): one in `spatial`, `numeracy` and
`non_spatial`; in `complex` two or all of BLIP-VQA, position and CLIPScore, as in the published `3_in_1_eval/3_in_1.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.t2i_compbench.judge import judge_with
from benchmarks.t2i_compbench.objects_judge import judge_objects_with
from hypernoise.experiments.benchmark import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from benchmarks.t2i_compbench.boxes import Detect
    from benchmarks.t2i_compbench.judge import Vqa
    from hypernoise.experiments.benchmark import Judge, Prompt

    Images = Sequence[NDArray[np.uint8]]
    Compare = Callable[[Images, Sequence[str]], list[float]]
    """Gives the cosine of each image and its sentence."""


def load_judge(device: torch.device) -> Judge:
    """The judge with the published weights.

    Raises:
        HnError: if they cannot be had.
    """
    from benchmarks.t2i_compbench.clip_score import ClipScore  # noqa: PLC0415 - these import transformers
    from benchmarks.t2i_compbench.detector import Detector  # noqa: PLC0415
    from benchmarks.vqa import BlipVqa  # noqa: PLC0415

    return judge_parts_with(BlipVqa.load(device), Detector.load(device), ClipScore.load(device))


def judge_parts_with(vqa: Vqa, detect: Detect, compare: Compare) -> Judge:
    """The judge that asks each of the three for the parts that it knows; they see only those images."""
    judges = {
        "phrases": judge_with(vqa),
        "objects": judge_objects_with(detect),
        "counts": judge_objects_with(detect),
        "sentence": judge_sentences_with(compare),
    }

    def judge(images: Images, prompts: Sequence[Prompt]) -> list[Judged]:
        parts: list[list[Judged]] = [[] for _ in prompts]
        for part, ask in judges.items():
            asked = [place for place, prompt in enumerate(prompts) if part in prompt.metadata]
            found = ask([images[place] for place in asked], [prompts[place] for place in asked])
            for place, judged in zip(asked, found, strict=True):
                parts[place].append(judged)
        return [mean(of) for of in parts]

    return judge


def judge_sentences_with(compare: Compare) -> Judge:
    """The judge that compares images with their prompts' sentences; a cosine below 0 counts as 0."""

    def judge(images: Images, prompts: Sequence[Prompt]) -> list[Judged]:
        cosines = compare(images, [prompt.metadata["sentence"] for prompt in prompts])
        return [Judged(max(cosine, 0.0), f"cosine {cosine:.2f}", {"cosine": cosine}) for cosine in cosines]

    return judge


def mean(parts: Sequence[Judged]) -> Judged:
    """Parts of one image as one; with details of all."""
    score = sum(part.score for part in parts) / len(parts)
    details = {key: value for part in parts for key, value in part.details.items()}
    return Judged(score, "; ".join(part.reason for part in parts), details)
