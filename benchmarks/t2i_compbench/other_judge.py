"""The judge of T2I-CompBench's other categories: each part of a prompt has its model and its rule.

An image's score is the mean of the parts that its prompt has (see `prompts`): one in `spatial`, `numeracy` and
`non_spatial`; in `complex` two or all of BLIP-VQA, position and CLIPScore, as in the published `3_in_1_eval/3_in_1.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.t2i_compbench import boxes, numeracy, rules, spatial
from benchmarks.t2i_compbench.coco_nouns import coco_name
from benchmarks.t2i_compbench.judge import judged as judged_attributes
from hypernoise.experiments.benchmark import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from benchmarks.geneval.detector import Instance
    from benchmarks.geneval.rules import Detection
    from benchmarks.t2i_compbench.judge import Vqa
    from hypernoise.experiments.benchmark import Prompt

    Images = Sequence[NDArray[np.uint8]]
    Found = Mapping[str, Sequence[Detection]]


class OtherJudge:
    """Judges images against prompts of `prompts.other_prompts`.

    Attributes:
        detect: Gives the instances of images that score above a threshold.
        vqa: Gives P(yes) of each question about its image.
        compare: Gives the cosine of each image and its sentence.
    """

    def __init__(
        self,
        detect: Callable[[Images, float], list[list[Instance]]],
        vqa: Vqa,
        compare: Callable[[Images, Sequence[str]], list[float]],
    ) -> None:
        self.detect, self.vqa, self.compare = detect, vqa, compare

    @classmethod
    def load(cls, device: torch.device) -> OtherJudge:
        """With the published weights.

        Raises:
            HnError: if they cannot be had.
        """
        from benchmarks.geneval.detector import Detector  # noqa: PLC0415 - these import transformers
        from benchmarks.t2i_compbench.clip_score import ClipScore  # noqa: PLC0415
        from benchmarks.vqa import BlipVqa  # noqa: PLC0415

        return cls(Detector.load(device), BlipVqa.load(device), ClipScore.load(device))

    def __call__(self, images: Images, prompts: Sequence[Prompt]) -> list[Judged]:
        """Scores of images uint8 [H, W, 3]; each model sees only those that it is asked about."""
        parts: list[list[Judged]] = [[] for _ in prompts]
        for keys, judge in (
            ({"phrases"}, self._attributes),
            ({"objects", "counts"}, self._objects),
            ({"sentence"}, self._sentences),
        ):
            asked = [place for place, prompt in enumerate(prompts) if keys & set(prompt.metadata)]
            if asked:
                found = judge([images[place] for place in asked], [prompts[place] for place in asked])
                for place, part in zip(asked, found, strict=True):
                    parts[place].append(part)
        return [mean(of) for of in parts]

    def _attributes(self, images: Images, prompts: Sequence[Prompt]) -> list[Judged]:
        asked = [rules.questions(prompt.metadata["phrases"]) for prompt in prompts]
        answers = self.vqa(images, asked)
        return [
            judged_attributes(dict(zip(of, yes, strict=True))) for of, yes in zip(asked, answers, strict=True)
        ]

    def _objects(self, images: Images, prompts: Sequence[Prompt]) -> list[Judged]:
        instances = self.detect(images, boxes.THRESHOLD)
        found = [boxes.by_class(of, image.shape[:2]) for of, image in zip(instances, images, strict=True)]
        return [
            (judged_position if "relation" in prompt.metadata else judged_numbers)(prompt, of)
            for prompt, of in zip(prompts, found, strict=True)
        ]

    def _sentences(self, images: Images, prompts: Sequence[Prompt]) -> list[Judged]:
        cosines = self.compare(images, [prompt.metadata["sentence"] for prompt in prompts])
        return [judged_sentence(cosine) for cosine in cosines]


def mean(parts: Sequence[Judged]) -> Judged:
    """Parts of one image as one; with details of all."""
    score = sum(part.score for part in parts) / len(parts)
    details = {key: value for part in parts for key, value in part.details.items()}
    return Judged(score, "; ".join(part.reason for part in parts), details)


def judged_position(prompt: Prompt, found: Found) -> Judged:
    """The best object of either noun, in their relation."""
    nouns, relation = prompt.metadata["objects"], prompt.metadata["relation"]
    best = {noun: objects[0] for noun in nouns if (objects := _of(noun, found))}
    score = spatial.image_score(relation, *(best.get(noun) for noun in nouns))
    missing = [noun for noun in nouns if noun not in best]
    reason = (
        f"found no {' and no '.join(missing)}" if missing else f"{f' {relation} '.join(nouns)} {score:.2f}"
    )
    seen = {
        noun: {"box": [round(corner, 1) for corner in each.box], "score": round(each.score, 4)}
        for noun, each in best.items()
    }
    return Judged(score, reason, {"objects": seen, "position": score})


def judged_numbers(prompt: Prompt, found: Found) -> Judged:
    """How many objects each noun has."""
    asked = prompt.metadata["counts"]
    counts = {noun: len(numeracy.distinct(_of(noun, found))) for noun, _ in asked}
    reason = ", ".join(f"{counts[noun]} of {count} {noun}" for noun, count in asked)
    return Judged(numeracy.image_score(asked, counts), reason, {"found": counts})


def judged_sentence(cosine: float) -> Judged:
    """A cosine as a score, which is not negative."""
    return Judged(max(cosine, 0.0), f"cosine {cosine:.2f}", {"cosine": cosine})


def _of(noun: str, found: Found) -> Sequence[Detection]:
    return found.get(coco_name(noun) or noun, [])
