"""T2I-CompBench's categories beside attribute binding, as `hn bench` runs them; the paper has no table of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from benchmarks.aggregation import MeanOfTasks
from benchmarks.geneval.sources import DETECTOR
from benchmarks.sources import BLIP_VQA, JudgedFromSources
from benchmarks.t2i_compbench.coco_nouns import can_be_judged
from benchmarks.t2i_compbench.prompts import OTHER_CATEGORIES, PER_CATEGORY, other_prompts
from benchmarks.t2i_compbench.sources import CLIP
from hypernoise.experiments.benchmark import Heading, Prompt, Report
from hypernoise.experiments.layout import ImageFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from hypernoise.experiments.benchmark import Judge, Records
    from hypernoise.hub import HubFiles


class T2ICompBenchOther(JudgedFromSources, MeanOfTasks):
    """Suite `coco`: those of the 1,200 published validation prompts whose objects COCO's detector knows."""

    name: ClassVar[str] = "t2i-compbench-other"
    suites: ClassVar[tuple[str, ...]] = ("coco",)
    sources: ClassVar[tuple[HubFiles, ...]] = (DETECTOR, BLIP_VQA, CLIP)
    whole_prompts: ClassVar[bool] = False
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

    def prompts(self, suite: str) -> list[Prompt]:  # noqa: ARG002 - there is one
        """The prompts that can be judged; an index is the place among all 1,200."""
        return [
            Prompt(index, row["prompt"], row["category"], row)
            for index, row in enumerate(other_prompts())
            if can_be_judged(row)
        ]

    def judge(self, suite: str, device: torch.device) -> Judge:  # noqa: ARG002
        """Mask2Former, BLIP-VQA and CLIP under the published rules.

        Raises:
            HnError: if weights cannot be had.
        """
        from benchmarks.t2i_compbench.other_judge import OtherJudge  # noqa: PLC0415

        return OtherJudge.load(device)

    def layout(self, prompts: Sequence[Prompt], seeds: int) -> list[ImageFile]:
        """`<category>/samples/<prompt>_<number>.png`, numbered as if no prompt of the category were left out."""
        return [
            ImageFile(
                f"{prompt.task}/samples/{prompt.text}_{prompt.index % PER_CATEGORY * seeds + seed:06d}.png",
                prompt,
                (seed,),
            )
            for prompt in prompts
            for seed in range(seeds)
        ]

    def layout_texts(self, prompts: Sequence[Prompt]) -> dict[str, str]:  # noqa: ARG002 - other layouts have some
        """None: the file names hold the prompts."""
        return {}

    def remarks(self, suite: str, records: Records) -> list[str]:  # noqa: ARG002 - other benchmarks' need them
        """Which judges stand in for the published ones, and how many prompts had to be left out."""
        kept = Counter(prompt.task for prompt in self.prompts(suite))
        shares = ", ".join(f"{category} {kept[category]}" for category in OTHER_CATEGORIES)
        return [
            f"Judges: {DETECTOR.repo} in place of the published UniDet, {BLIP_VQA.repo}, {CLIP.repo}, float32.",
            f"Prompts with objects that COCO lacks are left out; of {PER_CATEGORY} a category remain: {shares}.",
            "Not comparable with published scores; the mean, over categories of different scales, is not published.",
        ]
