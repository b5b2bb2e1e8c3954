"""GenEval's judge of the suite `coco`: the detector, the color classifier, and the published rules on what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.geneval import colors
from benchmarks.geneval.rules import PUBLISHED, Detection, Rules, kept_indices, verdict
from hypernoise.experiments.benchmark import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from benchmarks.geneval.detector import Instance
    from benchmarks.geneval.prompts import Metadata
    from hypernoise.experiments.benchmark import Prompt

    Images = Sequence[NDArray[np.uint8]]


class CocoJudge:
    """Judges images against GenEval prompts.

    Attributes:
        detect: Gives the instances of images that score above a threshold.
        classify: Names the colors of crops, given each object's class.
    """

    def __init__(
        self,
        detect: Callable[[Images, float], list[list[Instance]]],
        classify: Callable[[Sequence[Image.Image], Sequence[str]], list[str]],
        rules: Rules = PUBLISHED,
    ) -> None:
        self.detect, self.classify, self.rules = detect, classify, rules

    def __call__(self, images: Images, prompts: Sequence[Prompt]) -> list[Judged]:
        """Verdicts on images uint8 [H, W, 3]; all objects whose color matters are classified together."""
        found = self.detect(images, min(self.rules.threshold, self.rules.counting_threshold))
        seen = [_by_class(instances) for instances in found]
        detections = [{name: _detections(of) for name, of in classes.items()} for classes in seen]
        asked = [
            (place, name, index)
            for place, prompt in enumerate(prompts)
            for name, index in colors_asked(prompt.metadata, detections[place], self.rules)
        ]
        crops = [
            colors.crop(images[place], seen[place][name][index].mask, seen[place][name][index].box)
            for place, name, index in asked
        ]
        for (place, name, index), color in zip(
            asked, self.classify(crops, [name for _, name, _ in asked]), strict=True
        ):
            detections[place][name][index] = replace(detections[place][name][index], color=color)
        return [
            _judged(prompt.metadata, of, self.rules) for prompt, of in zip(prompts, detections, strict=True)
        ]


def colors_asked(
    metadata: Mapping[str, Any], detections: Mapping[str, Sequence[Detection]], rules: Rules = PUBLISHED
) -> list[tuple[str, int]]:
    """(Class, index) of the detections whose color decides: the first `count` kept ones of each colored clause."""
    kept = kept_indices(detections, metadata["tag"], rules)
    asked = [
        (clause["class"], index)
        for clause in metadata.get("include", [])
        if "color" in clause
        for index in kept.get(clause["class"], [])[: clause["count"]]
    ]
    return list(dict.fromkeys(asked))


def _by_class(instances: Sequence[Instance]) -> dict[str, list[Instance]]:
    classes: dict[str, list[Instance]] = {}
    for instance in instances:
        classes.setdefault(instance.name, []).append(instance)
    return classes


def _detections(instances: Sequence[Instance]) -> list[Detection]:
    return [Detection(instance.box, instance.score) for instance in instances]


def _judged(metadata: Any, detections: Mapping[str, Sequence[Detection]], rules: Rules) -> Judged:
    typed: Metadata = metadata
    result = verdict(typed, detections, rules)
    seen = [
        {"class": name, "color": each.color, "score": round(each.score, 4), "box": list(each.box)}
        for name, of in detections.items()
        for each in of
    ]
    return Judged(float(result.correct), result.reason, {"detections": seen})
