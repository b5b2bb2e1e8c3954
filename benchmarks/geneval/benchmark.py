"""GenEval as `hn bench` runs it: the suites, and the judge of each."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from benchmarks.aggregation import MeanOfTasks
from benchmarks.geneval import prompts as grammar
from benchmarks.geneval.rules import Detection, verdict
from benchmarks.geneval.sources import COLOR_CLASSIFIER, DETECTOR, MMDET_DETECTOR
from benchmarks.sources import JudgedFromSources
from hypernoise.experiments.benchmark import Heading, Judged, Prompt, Report
from hypernoise.experiments.layout import ImageFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from benchmarks.geneval.detector import Detector
    from benchmarks.geneval.prompts import Metadata
    from hypernoise.experiments.benchmark import Judge, Records
    from hypernoise.shapes.captions import Description
    from hypernoise.sources import Source


class GenEval(JudgedFromSources, MeanOfTasks):
    """Suite `coco`: the 553 published prompts. Suite `shapes`: 300 prompts of the embedded world."""

    name: ClassVar[str] = "geneval"
    suites: ClassVar[tuple[str, ...]] = ("coco", "shapes")
    sources: ClassVar[tuple[Source, ...]] = (DETECTOR, COLOR_CLASSIFIER)
    whole_prompts: ClassVar[bool] = False
    report: ClassVar[Report] = Report(
        table=1,
        name="table1",
        title="GenEval (Table 1)",
        overall=Heading("Mean ↑", "Mean ↑"),
        columns={
            "single_object": Heading("Single", "Single"),
            "two_object": Heading("Two", "Two"),
            "counting": Heading("Counting", "Count"),
            "colors": Heading("Colors", "Color"),
            "position": Heading("Position", "Pos."),
            "color_attr": Heading("Attribution", "Attr."),
        },
    )

    def prompts(self, suite: str) -> list[Prompt]:
        """The prompts of a suite in their fixed order."""
        found = grammar.coco_prompts() if suite == "coco" else shapes_prompts()
        return [Prompt(i, metadata["prompt"], metadata["tag"], metadata) for i, metadata in enumerate(found)]

    def judge(self, suite: str, device: torch.device) -> Judge:
        """The embedded judge of `shapes`; for `coco`, Mask2Former and CLIP.

        Raises:
            HnError: if weights cannot be had.
        """
        if suite == "shapes":
            return judge_shapes
        from benchmarks.geneval.coco_judge import CocoJudge  # noqa: PLC0415 - these import transformers
        from benchmarks.geneval.colors import ColorClassifier  # noqa: PLC0415

        return CocoJudge(self.detector(device), ColorClassifier.load(device))

    def detector(self, device: torch.device) -> Detector:
        """The detector of suite `coco`.

        Raises:
            HnError: if its weights cannot be had.
        """
        from benchmarks.geneval.detector import Detector  # noqa: PLC0415 - imports transformers

        return Detector.load(device)

    def layout(self, prompts: Sequence[Prompt], seeds: int) -> list[ImageFile]:
        """`<prompt>/samples/<seed>.png`, both of five digits."""
        return [
            ImageFile(f"{prompt.index:05d}/samples/{seed:05d}.png", prompt, (seed,))
            for prompt in prompts
            for seed in range(seeds)
        ]

    def layout_texts(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """`<prompt>/metadata.jsonl`, one line each."""
        return {
            f"{prompt.index:05d}/metadata.jsonl": json.dumps(prompt.metadata) + "\n" for prompt in prompts
        }

    def remarks(self, suite: str, records: Records) -> list[str]:  # noqa: ARG002 - other benchmarks' need them
        """Which judge scored the published prompts."""
        if suite == "shapes":
            return []
        repositories = ", ".join(source.place for source in self.sources)
        return [
            f"Judges: {repositories}, float32; the published script has mmdet's weights of this detector, as "
            "`geneval-as-published` has."
        ]


class GenEvalAsPublished(GenEval):
    """The published prompts, judged with the weights of the detector that the published script takes."""

    name: ClassVar[str] = "geneval-as-published"
    suites: ClassVar[tuple[str, ...]] = ("coco",)
    sources: ClassVar[tuple[Source, ...]] = (MMDET_DETECTOR, COLOR_CLASSIFIER)
    report: ClassVar[Report] = replace(
        GenEval.report,
        name="table1-as-published",
        title="GenEval, with its published script's detector (Table 1)",
    )

    def detector(self, device: torch.device) -> Detector:
        """The same network with mmdet's weights."""
        from benchmarks.geneval import mmdet_weights  # noqa: PLC0415 - these import transformers
        from benchmarks.geneval.detector import Detector  # noqa: PLC0415

        return Detector.of(mmdet_weights.load(), device)

    def remarks(self, suite: str, records: Records) -> list[str]:  # noqa: ARG002
        """Which judge scored the published prompts."""
        return [
            f"Judges: mmdet's weights of Mask2Former Swin-S in transformers' class, {COLOR_CLASSIFIER.repo}, float32."
        ]


def _metadata(task: str, description: Description) -> Metadata:
    first, *others = description.phrases
    match task:
        case "single_object":
            return grammar.single(first.shape)
        case "two_object":
            return grammar.two(first.shape, others[0].shape)
        case "counting":
            return grammar.counting(first.shape, first.count)
        case "colors":
            return grammar.colored(first.shape, first.color or "")
        case "position":
            return grammar.position(first.shape, description.relations[0] or "", others[0].shape)
        case _:
            second = others[0]
            return grammar.color_attribution(first.shape, first.color or "", second.shape, second.color or "")


def shapes_prompts() -> list[Metadata]:
    """The embedded world's 300 evaluation prompts in GenEval's format."""
    from hypernoise.shapes.suite import evaluation_suite  # noqa: PLC0415

    return [_metadata(task, description) for task, description in evaluation_suite()]


def judge_shapes(images: Sequence[NDArray[np.uint8]], prompts: Sequence[Prompt]) -> list[Judged]:
    """GenEval's rules on what the embedded judge finds."""
    from hypernoise.shapes.judge import detect  # noqa: PLC0415

    judged = []
    for image, prompt in zip(images, prompts, strict=True):
        found = detect(image)
        by_class: dict[str, list[Detection]] = {}
        for thing in found:
            by_class.setdefault(thing.shape, []).append(Detection(thing.box, thing.score, thing.color))
        result = verdict(prompt.metadata, by_class)  # type: ignore[arg-type]
        seen = [
            {"class": t.shape, "color": t.color, "score": round(t.score, 4), "box": list(t.box)}
            for t in found
        ]
        judged.append(Judged(float(result.correct), result.reason, {"detections": seen}))
    return judged
