"""Prompt optimization: the best image of many wordings of the prompt, by the reward (MILS, Ashutosh et al. 2025).

A rewriter is told the best wordings so far with their scores and writes new ones, round after round; all images are
made from x0, and scored against the original prompt. The paper (B.3) asks for 5 rewrites in each of 10 rounds, so
that 50 images are evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, isnan
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from hypernoise.generators.protocol import Encoded
from hypernoise.methods import Method, Outcome, Spent
from hypernoise.registry import find
from hypernoise.rewards.ensemble import take
from hypernoise.rewriters.protocol import ChatSettings, Question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypernoise.generators.protocol import Generator
    from hypernoise.methods import Batch
    from hypernoise.rewriters.protocol import Answer, Rewriter


@dataclass(frozen=True)
class PromptOptimizationSettings(ChatSettings):
    """`images` a sample, the original prompt's included, in rounds of `rewrites`; `keep` of MILS are shown again.

    With 50 images the tenth round has 4 rewrites; the published script makes the original's image in addition, which
    51 images do here.
    """

    images: int = 50
    rewrites: int = 5
    keep: int = 20
    rewriter: str = "transformers"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.images, self.rewrites, self.keep) < 1:
            raise ValueError("images, rewrites and keep must be at least 1")
        if bool(self.llm_url) != (self.rewriter == "openai"):
            raise ValueError("llm_url goes with the rewriter openai, which needs it")

    @property
    def rounds(self) -> list[int]:
        """How many rewrites each round asks for."""
        rounds = ceil((self.images - 1) / self.rewrites)
        return [min(self.rewrites, self.images - 1 - self.rewrites * number) for number in range(rounds)]


class Conditions:
    """The generator's condition of texts, each encoded once."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.rows: dict[str, Encoded] = {}

    def __call__(self, texts: Sequence[str]) -> Encoded:
        """The condition of B texts."""
        new = [text for text in dict.fromkeys(texts) if text not in self.rows]
        if new:
            encoded = self.generator.encode(new)
            self.rows |= {text: encoded.take([row]) for row, text in enumerate(new)}
        parts = [self.rows[text].tensors for text in texts]
        return Encoded({name: torch.cat([part[name] for part in parts]) for name in parts[0]})


@dataclass
class Search:
    """One sample's wordings so far with their rewards, the image of the best, and what was spent on them."""

    prompt: str
    image: torch.Tensor
    scores: dict[str, float]
    best: str
    spent: Spent = field(default_factory=lambda: Spent(nfe=0))
    failures: list[str] = field(default_factory=list)

    def ranked(self) -> list[tuple[str, float]]:
        """Wordings and their rewards, the best first, an earlier one before its equals; without a number, last."""
        return sorted(self.scores.items(), key=lambda item: (isnan(item[1]), -item[1]))

    def question(self, settings: PromptOptimizationSettings, count: int, key: tuple[int, ...]) -> Question:
        """What to ask for a round."""
        return Question(self.prompt, self.ranked()[: settings.keep], self.scores.keys(), count, key)

    def hear(self, answer: Answer, number: int, seconds: float) -> None:
        """Count what a round's answer cost, and keep why it failed."""
        self.spent = replace(
            self.spent,
            llm_calls=self.spent.llm_calls + answer.calls,
            llm_tokens=self.spent.llm_tokens + answer.tokens,
            llm_seconds=self.spent.llm_seconds + (seconds if answer.calls else 0.0),
        )
        if answer.failure:
            self.failures.append(f"round {number}: {answer.failure}")

    def see(self, text: str, image: torch.Tensor, score: float) -> None:
        """Take a wording's image, and keep it if it is better than all before."""
        self.scores[text] = score
        if self.ranked()[0][0] == text:
            self.best, self.image = text, image.clone()


def evaluate(
    batch: Batch, conditions: Conditions, rows: Sequence[int], texts: Sequence[str]
) -> tuple[torch.Tensor, list[float]]:
    """Images [N, 3, H, W] of N texts from the noise of the samples at `rows`, and their rewards.

    The rewards are those of the samples' own prompts.
    """
    asked = replace(
        batch,
        samples=[batch.samples[row] for row in rows],
        condition=conditions(texts),
        texts=take(batch.texts, rows),
    )
    images = asked.generate(asked.noise())
    return images, asked.reward.score(images, asked.texts).tolist()


class PromptOptimization(Method):
    """The original prompt's image is the first candidate, so the reward is never below base's."""

    name: ClassVar[str] = "prompt-optimization"
    presets: ClassVar[Mapping[str, PromptOptimizationSettings]] = {
        "paper": PromptOptimizationSettings(),
        "shapes": PromptOptimizationSettings(llm="", rewriter="shapes"),
    }
    budget: ClassVar[str | None] = "images"

    def __init__(self, settings: PromptOptimizationSettings) -> None:
        self.settings = settings
        self.rewriter: Rewriter = find("rewriter", settings.rewriter)(settings)

    def identity(self, model: type[Generator]) -> dict[str, Any]:
        """The rewriter's."""
        del model
        return self.rewriter.identity()

    def attach(self, generator: Generator) -> int:
        """Get the rewriter ready; its weights are not counted with the generator's."""
        self.rewriter.attach(generator.device)
        return 0

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outcome:
        """Search round by round, all samples of the batch together."""
        images = batch.generate(batch.noise())
        scores = batch.reward.score(images, batch.texts).tolist()
        searches = [
            Search(prompt, image, {prompt: score}, prompt)
            for prompt, image, score in zip(batch.prompts, images, scores, strict=True)
        ]
        conditions = Conditions(batch.generator)
        for number, count in enumerate(self.settings.rounds, start=1):
            self._round(batch, searches, conditions, number, count)
        return Outcome(
            torch.stack([search.image for search in searches]),
            [self._spent(search, batch.steps) for search in searches],
            [{"prompt": search.best, "failures": search.failures} for search in searches],
        )

    def _round(
        self, batch: Batch, searches: Sequence[Search], conditions: Conditions, number: int, count: int
    ) -> None:
        """Ask for every sample's rewrites, then make and score all their images together."""
        questions = [
            search.question(self.settings, count, (sample.seed, sample.prompt_index, number))
            for search, sample in zip(searches, batch.samples, strict=True)
        ]
        began = perf_counter()
        answers = self.rewriter.answer(questions)
        seconds = (perf_counter() - began) / len(questions)
        for search, answer in zip(searches, answers, strict=True):
            search.hear(answer, number, seconds)
        new = [(row, text) for row, answer in enumerate(answers) for text in answer.rewrites]
        if new:
            rows, texts = zip(*new, strict=True)
            images, scores = evaluate(batch, conditions, rows, texts)
            for row, text, image, score in zip(rows, texts, images, scores, strict=True):
                searches[row].see(text, image, score)

    @staticmethod
    def _spent(search: Search, steps: int) -> Spent:
        images = len(search.scores)
        return replace(search.spent, nfe=images * steps, reward_forwards=images)
