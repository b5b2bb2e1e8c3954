"""What every rewriter offers, whether a language model stands behind it or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import torch

    from hypernoise.hub import HubFiles


@dataclass(frozen=True)
class ChatSettings:
    """How a language model is asked; the sampling and the length are those of the published MILS.

    Attributes:
        llm: The model's name: its repository on the hub, or what the server calls it.
        llm_url: Address of an OpenAI-compatible server, such as http://localhost:8000.
        temperature: Divides the logits; 0 takes the likeliest token always.
        top_p: Tokens are drawn among the likeliest that together have this probability.
        max_tokens: Longest answer.
        timeout_seconds: Longest wait for an answer.
    """

    llm: str = "meta-llama/Llama-3.1-8B-Instruct"
    llm_url: str = ""
    temperature: float = 0.5
    top_p: float = 0.9
    max_tokens: int = 3000
    timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not (0 <= self.temperature < math.inf and 0 < self.top_p <= 1):
            raise ValueError("temperature must be at least 0 and top_p in (0, 1]")
        if not (self.max_tokens >= 1 and 0 < self.timeout_seconds < math.inf):
            raise ValueError("max_tokens must be at least 1 and timeout_seconds above 0")


@dataclass(frozen=True)
class Question:
    """What a rewriter is asked for one sample.

    Attributes:
        prompt: The original prompt.
        scored: The best texts so far with their rewards, the best first.
        tried: All texts so far; none of them is an answer.
        count: How many rewrites are wanted.
        key: Whole numbers that seed what is drawn at random.
    """

    prompt: str
    scored: Sequence[tuple[str, float]]
    tried: Collection[str]
    count: int
    key: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """New rewrites, all different; or none, and in `failure` the kind of what went wrong, a colon and the reason.

    `calls` and `tokens` (asked and answered) are those of a language model.
    """

    rewrites: tuple[str, ...]
    calls: int = 0
    tokens: int = 0
    failure: str = ""


class Rewriter(Protocol):
    """Puts prompts into other words."""

    name: ClassVar[str]
    sources: ClassVar[tuple[HubFiles, ...]]
    """What it downloads by default; empty where nothing is needed."""

    def __init__(self, settings: ChatSettings) -> None:
        """Check the settings.

        Raises:
            HnError: for one that cannot work.
        """
        ...

    def identity(self) -> dict[str, Any]:
        """What, besides its settings, its rewrites depend on; a table prints it."""
        ...

    def attach(self, device: torch.device) -> None:
        """Get ready: load the model or reach the server, once.

        Raises:
            HnError: if it cannot be had.
        """
        ...

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer to each question, after `attach`; what the user must put right raises HnError."""
        ...
