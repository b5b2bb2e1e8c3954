"""T2I-CompBench as `hn bench` runs it: the suites, and the judge of each (paper, Table 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.aggregation import MeanOfTasks
from benchmarks.sources import BLIP_VQA, JudgedFromSources
from benchmarks.t2i_compbench.judge import judge_with
from benchmarks.t2i_compbench.prompts import published_prompts
from hypernoise.experiments.benchmark import Heading, Prompt, Report
from hypernoise.experiments.layout import ImageFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from hypernoise.experiments.benchmark import Judge, Records
    from hypernoise.sources import Source


class T2ICompBench(JudgedFromSources, MeanOfTasks):
    """Suite `coco`: the 900 published validation prompts. Suite `shapes`: 180 of the embedded world.

    The paper prints no mean of the categories.
    """

    name: ClassVar[str] = "t2i-compbench"
    suites: ClassVar[tuple[str, ...]] = ("coco", "shapes")
    sources: ClassVar[tuple[Source, ...]] = (BLIP_VQA,)
    whole_prompts: ClassVar[bool] = False
    report: ClassVar[Report] = Report(
        table=5,
        name="table5",
        title="T2I-CompBench, attribute binding (Table 5)",
        overall=Heading("Mean ↑", "Mean ↑"),
        columns={
            "color": Heading("Color ↑", "Color"),
            "shape": Heading("Shape ↑", "Shape"),
            "texture": Heading("Texture ↑", "Text."),
        },
    )

    def prompts(self, suite: str) -> list[Prompt]:
        """The prompts of a suite, category by category."""
        rows = enumerate(self.rows(suite))
        return [Prompt(i, row["prompt"], row["category"], row) for i, row in rows]

    def rows(self, suite: str) -> list[dict[str, Any]]:
        """A suite's prompts as plain data: `prompt`, `category`, and what the rules ask about it."""
        if suite == "coco":
            return published_prompts()
        from benchmarks.t2i_compbench.shapes import shapes_prompts  # noqa: PLC0415

        return shapes_prompts()

    def judge(self, suite: str, device: torch.device) -> Judge:
        """The published rules on the answers of BLIP-VQA, or of the embedded judge."""
        if suite == "coco":
            from benchmarks.vqa import BlipVqa  # noqa: PLC0415 - imports transformers

            return judge_with(BlipVqa.load(device))
        from benchmarks.t2i_compbench.shapes import answer  # noqa: PLC0415

        return judge_with(answer)

    def layout(self, prompts: Sequence[Prompt], seeds: int) -> list[ImageFile]:
        """`<category>/samples/<prompt>_<number>.png`, numbered within the category with six digits."""
        files = []
        for category in dict.fromkeys(prompt.task for prompt in prompts):
            samples = [(p, seed) for p in prompts if p.task == category for seed in range(seeds)]
            files += [
                ImageFile(f"{category}/samples/{prompt.text}_{number:06d}.png", prompt, (seed,))
                for number, (prompt, seed) in enumerate(samples)
            ]
        return files

    def layout_texts(self, prompts: Sequence[Prompt]) -> dict[str, str]:  # noqa: ARG002 - other layouts have some
        """None: the file names hold the prompts."""
        return {}

    def remarks(self, suite: str, records: Records) -> list[str]:  # noqa: ARG002 - other benchmarks' need them
        """Who answered the questions."""
        if suite == "coco":
            return [
                f"Judge: BLIP-VQA, {BLIP_VQA.repo}, float32; noun phrases of spaCy's en_core_web_sm 3.8.0."
            ]
        return [
            "Judge: the embedded world's classical detector; P(yes) is its score. That world has no textures. "
            "Shape: two shapes of one color, which training never shows."
        ]
