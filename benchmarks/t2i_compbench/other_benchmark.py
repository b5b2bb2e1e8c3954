"""T2I-CompBench's categories beside attribute binding, as `hn bench` runs them; the paper has no table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.sources import BLIP_VQA
from benchmarks.t2i_compbench.benchmark import T2ICompBench
from benchmarks.t2i_compbench.detector_settings import SETTINGS
from benchmarks.t2i_compbench.prompts import other_prompts
from benchmarks.t2i_compbench.sources import CLIP, DETECTOR
from hypernoise.experiments.benchmark import Heading, Report

if TYPE_CHECKING:
    import torch

    from hypernoise.experiments.benchmark import Judge, Records
    from hypernoise.sources import Source


class T2ICompBenchOther(T2ICompBench):
    """Suite `coco`: the 1,200 published validation prompts. Suite `shapes`: 180 of the embedded world."""

    name: ClassVar[str] = "t2i-compbench-other"
    sources: ClassVar[tuple[Source, ...]] = (DETECTOR, BLIP_VQA, CLIP)
    report: ClassVar[Report] = Report(
        table=None,
        name="t2i-compbench-other",
        title="T2I-CompBench, the other categories (not in the paper)",
        overall=Heading("Mean ↑", "Mean ↑"),
        columns={
            "spatial": Heading("Spatial ↑", "Spat."),
            "numeracy": Heading("Numeracy ↑", "Num."),
            "non_spatial": Heading("Non-spatial ↑", "Non-sp."),
            "complex": Heading("Complex ↑", "Compl."),
        },
    )

    def rows(self, suite: str) -> list[dict[str, Any]]:
        """A suite's prompts as plain data."""
        if suite == "coco":
            return other_prompts()
        from benchmarks.t2i_compbench.other_shapes import shapes_prompts  # noqa: PLC0415

        return shapes_prompts()

    def identity(self, suite: str) -> dict[str, str]:
        """What the judge is, and for `coco` what its detector is asked and which of its boxes count."""
        known = super().identity(suite)
        return known | SETTINGS.identity() if suite == "coco" else known

    def judge(self, suite: str, device: torch.device) -> Judge:
        """OWLv2, BLIP-VQA and CLIP under the published rules; of `shapes`, the embedded judge.

        Raises:
            HnError: if weights cannot be had.
        """
        if suite == "coco":
            from benchmarks.t2i_compbench.other_judge import load_judge  # noqa: PLC0415

            return load_judge(device)
        from benchmarks.t2i_compbench.objects_judge import judge_objects_with  # noqa: PLC0415
        from benchmarks.t2i_compbench.other_shapes import find  # noqa: PLC0415

        return judge_objects_with(find)

    def remarks(self, suite: str, records: Records) -> list[str]:  # noqa: ARG002 - other benchmarks' need them
        """Which judges stand in for the published ones, and what the scores can be compared with."""
        if suite == "shapes":
            return [
                "Judge: the embedded world's classical detector. That world has no non-spatial or complex prompts."
            ]
        return [
            f"Judges: {DETECTOR.repo} in place of the published UniDet, {BLIP_VQA.repo}, {CLIP.repo}, float32.",
            f"It is asked for {SETTINGS.query.format('(noun)')!r}; objects score above {SETTINGS.threshold:g}, boxes "
            f"whose intersection over union is above {SETTINGS.overlap:g} are one object.",
            "Spatial, numeracy and complex are not comparable with published scores; the mean, over categories of "
            "different scales, is not published.",
        ]
