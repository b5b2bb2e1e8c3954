"""What every benchmark offers: prompts, and a judge for the images made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hypernoise.hub import HubFiles


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


class Benchmark(Protocol):
    """Prompts + judges + aggregation; the score of a task is the mean over its images."""

    name: ClassVar[str]
    suites: ClassVar[tuple[str, ...]]
    sources: ClassVar[tuple[HubFiles, ...]]
    """What its judges download; empty where nothing is needed."""

    def prompts(self, suite: str) -> list[Prompt]:
        """All prompts of a suite, in their published order."""
        ...

    def identity(self, suite: str) -> dict[str, str]:
        """What scores depend on beside prompts and images: the judges' versions, or hashes of their weights."""
        ...

    def judge(self, suite: str) -> Judge:
        """The suite's judge, loaded."""
        ...


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
