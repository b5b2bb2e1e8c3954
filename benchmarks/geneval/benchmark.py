"""GenEval as `hn bench` runs it: the suites, and the judge of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from benchmarks.geneval import prompts as grammar
from benchmarks.geneval.rules import Detection, verdict
from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import Judged, Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.geneval.prompts import Metadata
    from hypernoise.experiments.benchmark import Judge
    from hypernoise.hub import HubFiles
    from hypernoise.shapes.captions import Description


class GenEval:
    """Suite `coco`: the 553 published prompts. Suite `shapes`: 300 prompts of the embedded world."""

    name: ClassVar[str] = "geneval"
    suites: ClassVar[tuple[str, ...]] = ("coco", "shapes")
    sources: ClassVar[tuple[HubFiles, ...]] = ()

    def prompts(self, suite: str) -> list[Prompt]:
        """The prompts of a suite in their fixed order."""
        found = grammar.coco_prompts() if suite == "coco" else shapes_prompts()
        return [Prompt(i, metadata["prompt"], metadata["tag"], metadata) for i, metadata in enumerate(found)]

    def identity(self, suite: str) -> dict[str, str]:
        """The embedded judge's version."""
        from hypernoise.shapes.judge import VERSION  # noqa: PLC0415

        return {"shapes-judge": VERSION} if suite == "shapes" else {}

    def judge(self, suite: str) -> Judge:
        """The embedded judge.

        Raises:
            HnError: for `coco`, whose detector this version does not have.
        """
        if suite == "coco":
            raise HnError(
                "The suite 'coco' needs a COCO detector as judge, which this version does not have; "
                "use --suite shapes."
            )
        return judge_shapes


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
