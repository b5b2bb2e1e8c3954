"""What every benchmark offers: prompts, and a judge for the images made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from hypernoise.experiments.layout import ImageFile

if TYPE_CHECKING:
    import torch

    from hypernoise.experiments.statistics import Estimate, Scores
    from hypernoise.sources import Source


@dataclass(frozen=True)
class Prompt:
    """One prompt of a suite: its place in the whole suite, its task, and what the judge needs to know."""

    index: int
    text: str
    task: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What the judge says of one image: a score in [0, 1], why, and what it saw, as plain data."""

    score: float
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


Judge = Callable[[Sequence[NDArray[np.uint8]], Sequence[Prompt]], list[Judged]]
"""Judges images uint8 [H, W, 3], each against its prompt."""


Records = Sequence[Mapping[str, Any]]
"""What a run stores of its samples: prompt_index, seed, task, and what the judge said of the image."""


@dataclass(frozen=True)
class Heading:
    """A column's heading, and a shorter one for narrow pages."""

    full: str
    short: str


@dataclass(frozen=True)
class Report:
    """How a benchmark's scores are printed.

    Attributes:
        table: Number of the paper's table; None where the paper has none.
        name: Of the files, such as "table1".
        title: Printed above.
        overall: Heading of the overall score, of which higher is better.
        columns: Headings of what `Benchmark.columns` gives, by name; the paper's rows use the same names.
        scale: What scores are multiplied with to be in the paper's unit.
        digits: Printed decimals of the overall score, and of all else.
    """

    table: int | None
    name: str
    title: str
    overall: Heading
    columns: Mapping[str, Heading]
    scale: float = 1
    digits: tuple[int, int] = (3, 2)


class Benchmark(Protocol):
    """Prompts + judges + aggregation.

    Attributes:
        name: What the user types.
        suites: Its sets of prompts.
        sources: What its judges download; empty where nothing is needed.
        report: How its scores are printed.
        whole_prompts: Whether all images of a prompt must be judged together.
    """

    name: ClassVar[str]
    suites: ClassVar[tuple[str, ...]]
    sources: ClassVar[tuple[Source, ...]] = ()
    report: ClassVar[Report]
    whole_prompts: ClassVar[bool] = False

    def prompts(self, suite: str) -> list[Prompt]:
        """All prompts of a suite, in their published order."""
        ...

    def identity(self, suite: str) -> dict[str, str]:
        """What scores depend on beside prompts and images: the judges' versions, or hashes of their weights.

        Weights that are missing are downloaded for it.

        Raises:
            HnError: if they cannot be had: nothing is generated then.
        """
        ...

    def judge(self, suite: str, device: torch.device) -> Judge:
        """The suite's judge, loaded."""
        ...

    def layout(self, prompts: Sequence[Prompt], seeds: int) -> list[ImageFile]:
        """The image files that its published script reads, for some prompts with seeds numbered from 0.

        `<prompt>/<seed>.png` where there is no such script.

        Raises:
            HnError: if the layout has no place for that many seeds.
        """
        return [
            ImageFile(f"{prompt.index:05d}/{seed:05d}.png", prompt, (seed,))
            for prompt in prompts
            for seed in range(seeds)
        ]

    def layout_texts(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """The other files that the script reads beside the images, by path; none unless told."""
        del prompts
        return {}

    def scores(self, records: Records) -> Scores:
        """The scores whose stratified mean is the overall score."""
        ...

    def columns(self, records: Records) -> Mapping[str, Estimate]:
        """What the report's columns show, in units of the scores; a column that cannot be filled is absent."""
        ...

    def remarks(self, suite: str, records: Records) -> list[str]:
        """What must be known of the scores and no other column says: which judge, which variant of the rules."""
        del suite, records
        return []


def in_turns(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The tasks' first prompts, then their second ones, and so on, each round in the suite's order."""
    seen: dict[str, int] = {}
    turns = []
    for prompt in prompts:
        turns.append((seen.get(prompt.task, 0), prompt.index, prompt))
        seen[prompt.task] = seen.get(prompt.task, 0) + 1
    return [prompt for _, _, prompt in sorted(turns, key=lambda turn: turn[:2])]


def spread(prompts: Sequence[Prompt], limit: int | None) -> list[Prompt]:
    """At most `limit` prompts, taken from the tasks in turn, in the suite's order."""
    if limit is None or limit >= len(prompts):
        return list(prompts)
    return sorted(in_turns(prompts)[:limit], key=lambda prompt: prompt.index)
