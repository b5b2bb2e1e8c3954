"""Diversity as `hn bench` runs it: GenEval's prompts, many seeds (the paper takes 50; C.2, Table 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from benchmarks.diversity.judge import judge_with
from benchmarks.diversity.sources import ALEXNET, DINO
from benchmarks.geneval.benchmark import GenEval
from hypernoise.experiments.benchmark import Heading, Report
from hypernoise.experiments.statistics import Estimate, bootstrap_interval, pooled, prompt_deviation
from hypernoise.sources import hashes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from hypernoise.experiments.benchmark import Judge, Prompt, Records
    from hypernoise.experiments.layout import ImageFile
    from hypernoise.experiments.statistics import Scores
    from hypernoise.sources import Source


class Diversity:
    """Suites `coco` and `shapes`: GenEval's prompts, whatever their task."""

    name: ClassVar[str] = "diversity"
    suites: ClassVar[tuple[str, ...]] = ("coco", "shapes")
    sources: ClassVar[tuple[Source, ...]] = (DINO, ALEXNET)
    whole_prompts: ClassVar[bool] = True
    report: ClassVar[Report] = Report(
        table=7,
        name="table7",
        title="Diversity of a prompt's images (Table 7)",
        overall=Heading("Distance ↑", "Dist. ↑"),
        columns={
            "distance_sd": Heading("± over prompts", "±"),
            "similarity": Heading("Similarity ↓", "Sim. ↓"),
            "similarity_sd": Heading("± over prompts", "±"),
        },
        digits=(3, 3),
    )

    def prompts(self, suite: str) -> list[Prompt]:
        """GenEval's prompts."""
        return GenEval().prompts(suite)

    def identity(self, suite: str) -> dict[str, str]:
        """The hashes of LPIPS' and DINOv2's weights, or of the embedded encoder."""
        if suite == "coco":
            from benchmarks.diversity import lpips  # noqa: PLC0415 - imports torchvision

            return hashes(self.sources) | lpips.channels_sha256()
        from hypernoise.rewards.shapes import ShapesClip  # noqa: PLC0415

        return ShapesClip.weights()

    def judge(self, suite: str, device: torch.device) -> Judge:
        """LPIPS and DINOv2, or the embedded encoder's features."""
        if suite == "coco":
            from benchmarks.diversity.dino import Dino  # noqa: PLC0415 - imports transformers
            from benchmarks.diversity.lpips import Lpips  # noqa: PLC0415

            return judge_with(Lpips.load(device), Dino.load(device))
        from benchmarks.diversity.shapes import ShapesFeatures  # noqa: PLC0415

        features = ShapesFeatures(device)
        return judge_with(features.perceptual, features.semantic)

    def layout(self, prompts: Sequence[Prompt], seeds: int) -> list[ImageFile]:
        """GenEval's."""
        return GenEval().layout(prompts, seeds)

    def layout_texts(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """GenEval's."""
        return GenEval().layout_texts(prompts)

    def scores(self, records: Records) -> Scores:
        """The mean distance over all pairs of a prompt's images, and over prompts."""
        return pooled(records)

    def columns(self, records: Records) -> Mapping[str, Estimate]:
        """The similarity, and both standard deviations over prompts; a failed image equals all others."""
        distance, similarity = pooled(records), pooled(records, _similarity)
        return {
            "distance_sd": prompt_deviation(distance),
            "similarity": bootstrap_interval(similarity).overall,
            "similarity_sd": prompt_deviation(similarity),
        }

    def remarks(self, suite: str, records: Records) -> list[str]:  # noqa: ARG002 - other benchmarks' need them
        """What distance and similarity are."""
        if suite == "coco":
            return [
                f"Distance: LPIPS 0.1, AlexNet. Similarity: cosine of class tokens of {DINO.repo}. All pairs."
            ]
        return [
            "Distance: mean squared distance of the unit features of the reward `shapes-clip` at each place. "
            "Similarity: cosine of its image vectors. All pairs. Not LPIPS and DINOv2, whose numbers stand below."
        ]


def _similarity(record: Mapping[str, object]) -> float:
    details = record["details"]
    assert isinstance(details, dict)  # noqa: S101 - of the judge above
    return 1.0 if str(record["reason"]).startswith("failed:") else float(details["similarity"])
