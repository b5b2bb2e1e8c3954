"""DPG-Bench as `hn bench` runs it: the suites, and the judge of each (paper, Table 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.dpg_bench.judge import judge_with, metadata_of
from benchmarks.dpg_bench.prompts import TABLE, published_items
from benchmarks.dpg_bench.rules import CATEGORIES, category_scores, first_level, undefined
from benchmarks.sources import BLIP_VQA, JudgedFromSources
from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import Heading, Prompt, Report
from hypernoise.experiments.layout import ImageFile
from hypernoise.experiments.statistics import Scores, bootstrap_interval, pooled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

    from benchmarks.dpg_bench.prompts import Item
    from hypernoise.experiments.benchmark import Judge, Records
    from hypernoise.experiments.statistics import Estimate
    from hypernoise.sources import Source


class DpgBench(JudgedFromSources):
    """Suite `coco`: the 1,065 published prompts. Suite `shapes`: 120 longer ones of the embedded world."""

    name: ClassVar[str] = "dpg-bench"
    suites: ClassVar[tuple[str, ...]] = ("coco", "shapes")
    sources: ClassVar[tuple[Source, ...]] = (TABLE, BLIP_VQA)
    whole_prompts: ClassVar[bool] = False
    as_published: ClassVar[bool] = False
    report: ClassVar[Report] = Report(
        table=6,
        name="table6",
        title="DPG-Bench (Table 6)",
        overall=Heading("Score ↑", "Score ↑"),
        columns={name: Heading(f"{name.capitalize()} ↑", name.capitalize()) for name in CATEGORIES},
        scale=100,
        digits=(2, 2),
    )

    def _items(self, suite: str) -> list[Item]:
        if suite == "coco":
            return published_items(as_published=self.as_published)
        from benchmarks.dpg_bench.shapes import shapes_items  # noqa: PLC0415

        return shapes_items()

    def prompts(self, suite: str) -> list[Prompt]:
        """The prompts of a suite; their task is where they come from, such as "partiprompts"."""
        return [
            Prompt(index, item.text, _source(item), metadata_of(item.name, item.text, item.questions))
            for index, item in enumerate(self._items(suite))
            if not (self.as_published and undefined(item.questions))
        ]

    def judge(self, suite: str, device: torch.device) -> Judge:
        """The rules on the answers of BLIP-VQA, or of the embedded judge."""
        if suite == "coco":
            from benchmarks.vqa import BlipVqa  # noqa: PLC0415 - imports transformers

            return judge_with(BlipVqa.load(device), as_published=self.as_published)
        from benchmarks.dpg_bench.shapes import answer  # noqa: PLC0415

        return judge_with(answer, as_published=self.as_published)

    def layout(self, prompts: Sequence[Prompt], seeds: int) -> list[ImageFile]:
        """`<item>.png`, which shows one image or a grid of four."""
        if seeds not in (1, 4):
            raise HnError(
                f"DPG-Bench's layout has one image a prompt or four, not {seeds}; give --seeds 1 or 4."
            )
        return [
            ImageFile(f"{prompt.metadata['item_id']}.png", prompt, tuple(range(seeds))) for prompt in prompts
        ]

    def layout_texts(self, prompts: Sequence[Prompt]) -> dict[str, str]:  # noqa: ARG002 - other layouts have some
        """None: the script finds the prompts in its table by the files' names."""
        return {}

    def scores(self, records: Records) -> Scores:
        """The overall score is the mean over all images."""
        return pooled(records)

    def columns(self, records: Records) -> Mapping[str, Estimate]:
        """Share of "yes" in each category of the first level, before any dependency is looked at."""
        return category_estimates(records, last_image_only=self.as_published)

    def remarks(self, suite: str, records: Records) -> list[str]:
        """Who answered the questions, by which variant of the rules they were counted, and the finer categories."""
        judge = (
            f"BLIP-VQA, {BLIP_VQA.repo}, float32, not the published mPLUG-large"
            if suite == "coco"
            else "the embedded world's classical detector"
        )
        rules = (
            "as the published script has them: the table's first row is skipped, zeroes fall through in row order, "
            "category scores are those of a prompt's last image, and prompts that depend on a missing question are "
            "left out"
            if self.as_published
            else "every row, a question counts if all that it depends on got yes"
        )
        finer = category_scores(_answers(records, last_image_only=self.as_published), level=2)
        printed = ", ".join(f"{category} {100 * share:.2f}" for category, share in sorted(finer.items()))
        return [f"Judge: {judge}.", f"Rules: {rules}.", f"Second level of the first row: {printed}."]


class DpgBenchAsPublished(DpgBench):
    """The same with the published script's own variant of the rules."""

    name: ClassVar[str] = "dpg-bench-as-published"
    as_published: ClassVar[bool] = True
    report: ClassVar[Report] = replace(
        DpgBench.report,
        name="table6-as-published",
        title="DPG-Bench, as its published script counts (Table 6)",
    )


def _source(item: Item) -> str:
    """The collection that an item's name begins with; some have only a number."""
    return item.name.rstrip("0123456789") or "numbered"


def _counted(records: Records, *, last_image_only: bool) -> Iterator[tuple[Mapping[str, Any], str, bool]]:
    """(Record, category, answer) of every question; those about a failed image got "no"."""
    last = max((record["seed"] for record in records), default=0)
    for record in records:
        if record["seed"] == last or not last_image_only:
            failed = record["reason"].startswith("failed:")
            for category, yes in record["details"]["answers"]:
                yield record, category, yes and not failed


def _answers(records: Records, *, last_image_only: bool) -> list[tuple[str, bool]]:
    return [(category, yes) for _, category, yes in _counted(records, last_image_only=last_image_only)]


def category_estimates(records: Records, *, last_image_only: bool = False) -> dict[str, Estimate]:
    """Share of "yes" of each category of the first level, with its interval."""
    rows: dict[str, list[tuple[str, int, int, float]]] = {}
    for number, (record, category, yes) in enumerate(_counted(records, last_image_only=last_image_only)):
        row = (first_level(category), record["prompt_index"], number, float(yes))
        rows.setdefault(row[0], []).append(row)
    columns = {name: Scores(*map(list, zip(*of, strict=True))) for name, of in rows.items()}
    return {name: bootstrap_interval(scores).overall for name, scores in columns.items()}
