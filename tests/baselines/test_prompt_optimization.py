"""Prompt optimization: every wording really drawn from x0 and scored, the best image kept, nothing lost by failures."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hub_files import use
from language_models import LLAMA, chat_server, make_llama
from pandas import read_csv as read_table

from baselines.prompt_optimization import Conditions, PromptOptimization, PromptOptimizationSettings
from hypernoise.errors import HnError
from hypernoise.methods import Base, BaseSettings, Batch, Sample, Spent
from hypernoise.rewriters.chat_server import KEY_VARIABLE
from hypernoise.rewriters.protocol import Answer
from hypernoise.tables.table1 import read_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hypernoise.methods import Outcome
    from hypernoise.rewriters.protocol import Question

SAMPLES = [Sample(1, 0), Sample(0, 3), Sample(2, 1), Sample(1, 7)]
SMALL = PromptOptimizationSettings(llm="", rewriter="shapes", images=8, rewrites=3)
BENCH = ("bench", "geneval", "--limit", 6, "--seeds", 1, "--device", "cpu", "--batch", 4)


class Scripted:
    """A rewriter that keeps the questions and says what it was told to, round by round."""

    def __init__(self, *rounds: Sequence[str] | str) -> None:
        self.rounds = iter(rounds)
        self.questions: list[Sequence[Question]] = []

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        self.questions.append(questions)
        said = next(self.rounds)
        if isinstance(said, str):
            return [Answer((), calls=1, tokens=5, failure=said) for _ in questions]
        new = [tuple(text for text in said if text not in question.tried) for question in questions]
        return [Answer(texts[: q.count], 1, 10) for texts, q in zip(new, questions, strict=True)]


def scripted(settings: PromptOptimizationSettings, *rounds: Any) -> tuple[PromptOptimization, Scripted]:
    method, rewriter = PromptOptimization(settings), Scripted(*rounds)
    method.rewriter = rewriter  # type: ignore[assignment]
    return method, rewriter


def rewards(batch: Batch, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return batch.reward.score(images, batch.texts)


def counted(outcome: Outcome) -> list[Spent]:
    """What each sample cost, but for the seconds."""
    assert not isinstance(outcome.spent, Spent)
    return [replace(spent, llm_seconds=0.0) for spent in outcome.spent]


@pytest.mark.parametrize("steps", [1, 2])
def test_one_image_is_base(batch_of: Callable[..., Batch], steps: int) -> None:
    batch = batch_of(SAMPLES, steps)
    outcome = PromptOptimization(replace(SMALL, images=1))(batch)
    assert torch.equal(outcome.images, Base(BaseSettings())(batch).images)
    assert counted(outcome) == [Spent(nfe=steps, reward_forwards=1)] * len(SAMPLES)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_image_of_the_best_wording_is_kept(batch_of: Callable[..., Batch], steps: int) -> None:
    texts = ["a ring", "a photo of a blue star and a red circle", "three moons", "a photo of a red ring"]
    batch = batch_of(SAMPLES, steps)
    method, _ = scripted(replace(SMALL, images=5, rewrites=2), texts[:2], texts)
    outcome = method(batch)
    for row, sample in enumerate(SAMPLES):
        alone = batch_of([sample], steps)
        wordings = [*alone.prompts, *texts]
        with torch.no_grad():
            images = torch.cat(
                [
                    replace(alone, condition=alone.generator.encode([text])).generate(alone.noise())
                    for text in wordings
                ]
            )
            scores = torch.cat([alone.reward.score(image[None], alone.texts) for image in images])
        best = int(scores.argmax())
        torch.testing.assert_close(outcome.images[row], images[best], atol=1e-4, rtol=0)
        assert outcome.details[row] == {"prompt": wordings[best], "failures": []}
    assert counted(outcome) == [Spent(nfe=5 * steps, reward_forwards=5, llm_calls=2, llm_tokens=20)] * len(
        SAMPLES
    )
    assert not outcome.images.requires_grad


def test_the_rewriter_is_told_the_best_so_far(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES[:2])
    texts = ["a ring", "a star", "a moon", "a cross"]
    method, rewriter = scripted(replace(SMALL, images=6, rewrites=4, keep=3), texts, ["a heart"])
    method(batch)
    first, second = rewriter.questions
    assert [question.count for question in first] == [4, 4]
    assert [question.count for question in second] == [1, 1]
    assert [question.key for question in second] == [(0, 1, 2), (3, 0, 2)]
    for row, (before, after) in enumerate(zip(first, second, strict=True)):
        prompt = batch.prompts[row]
        assert [text for text, _ in before.scored] == [prompt]
        assert set(after.tried) >= {prompt, *texts}
        assert len(after.scored) == 3
        scores = [score for _, score in after.scored]
        assert scores == sorted(scores, reverse=True)
        base = rewards(batch, Base(BaseSettings())(batch).images)[row]
        assert before.scored[0][1] == pytest.approx(float(base), abs=1e-4)


def test_failures_lose_nothing_and_are_recorded(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES)
    settings = replace(SMALL, images=7, rewrites=2)
    timeout = "timeout: no answer within 1 s"
    method, _ = scripted(settings, ["a ring", "a red circle"], timeout, "malformed: no numbered line in ''")
    outcome = method(batch)
    undisturbed, _ = scripted(replace(settings, images=3), ["a ring", "a red circle"])
    assert torch.equal(outcome.images, undisturbed(batch).images)
    assert counted(outcome) == [Spent(3, 3, llm_calls=3, llm_tokens=20)] * len(SAMPLES)
    assert [details["failures"] for details in outcome.details] == [
        [f"round 2: {timeout}", "round 3: malformed: no numbered line in ''"]
    ] * len(SAMPLES)


def test_where_every_round_fails_base_is_left(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES)
    method, _ = scripted(SMALL, *["refusal: no"] * 3)
    outcome = method(batch)
    assert torch.equal(outcome.images, Base(BaseSettings())(batch).images)
    assert [details["prompt"] for details in outcome.details] == list(batch.prompts)


def test_a_reward_that_is_no_number_is_never_the_best(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES[:1])
    score = batch.reward.score

    class Broken:
        """No number at the second evaluation."""

        calls = 0

        def score(self, images: torch.Tensor, texts: Any) -> torch.Tensor:
            self.calls += 1
            return score(images, texts) * (float("nan") if self.calls == 2 else 1.0)

    broken = replace(batch, reward=Broken())  # type: ignore[arg-type]
    method, _ = scripted(replace(SMALL, images=2), ["a ring"])
    assert torch.equal(method(broken).images, Base(BaseSettings())(batch).images)


def test_more_images_never_lower_the_reward(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES)
    found = [
        rewards(batch, PromptOptimization(replace(SMALL, images=images))(batch).images)
        for images in (1, 4, 10, 25)
    ]
    for fewer, more in pairwise(found):
        assert (more >= fewer - 1e-4).all()
    assert (found[-1] > found[0]).all()


class Precise(Batch):
    """A batch whose noise is in double precision, where rounding changes no ranking of wordings."""

    def noise(self, candidate: int = 0) -> torch.Tensor:
        return super().noise(candidate).double()


def test_the_same_in_every_batch(precise_batch_of: Callable[..., Batch]) -> None:
    def run(samples: Sequence[Sample]) -> Outcome:
        return PromptOptimization(SMALL)(Precise(**vars(precise_batch_of(samples))))

    together, again = run(SAMPLES), run(SAMPLES)
    assert torch.equal(again.images, together.images)
    assert again.details == together.details
    for row, sample in enumerate(SAMPLES):
        alone = run([sample])
        assert alone.details == [together.details[row]]
        torch.testing.assert_close(alone.images[0], together.images[row], atol=1e-4, rtol=0)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_round_s_images_are_made_in_one_call(batch_of: Callable[..., Batch], steps: int) -> None:
    batch = batch_of(SAMPLES, steps)
    rows: list[int] = []
    hook = batch.generator.sampler.transformer.register_forward_hook(  # type: ignore[attr-defined]
        lambda _, __, output: rows.append(len(output[0]))
    )
    try:
        outcome = PromptOptimization(SMALL)(batch)
    finally:
        hook.remove()
    assert len(rows) == steps * (1 + len(SMALL.rounds))
    assert sum(rows) == sum(spent.nfe for spent in counted(outcome))


def test_every_text_is_encoded_once(batch_of: Callable[..., Batch]) -> None:
    asked: list[str] = []

    class Counting:
        def encode(self, prompts: Sequence[str]) -> Any:
            asked.extend(prompts)
            return generator.encode(prompts)

    generator = batch_of(SAMPLES[:1]).generator
    conditions = Conditions(Counting())  # type: ignore[arg-type]
    texts = ["a ring", "a star", "a ring", "three moons"]
    expected = generator.encode(texts).tensors
    for _ in range(2):
        for name, tensor in conditions(texts).tensors.items():
            torch.testing.assert_close(tensor, expected[name])
    assert asked == ["a ring", "a star", "three moons"]


@pytest.mark.parametrize(
    ("images", "rewrites", "rounds"),
    [(50, 5, [5] * 9 + [4]), (51, 5, [5] * 10), (1, 5, []), (2, 5, [1]), (7, 3, [3, 3])],
)
def test_rounds_make_all_images(images: int, rewrites: int, rounds: list[int]) -> None:
    assert replace(SMALL, images=images, rewrites=rewrites).rounds == rounds


def test_presets_are_the_paper_s_and_one_without_a_language_model() -> None:
    paper, shapes = PromptOptimization.presets.values()
    assert (paper.images, paper.rewrites, len(paper.rounds), paper.keep) == (50, 5, 10, 20)
    assert (paper.rewriter, paper.llm, paper.temperature, paper.top_p) == ("transformers", LLAMA, 0.5, 0.9)
    assert replace(shapes, rewriter=paper.rewriter, llm=paper.llm) == paper


@pytest.mark.parametrize(
    "changes",
    [
        {"images": 0},
        {"rewrites": 0},
        {"keep": -1},
        {"rewriter": "openai"},
        {"llm_url": "http://localhost"},
        {"top_p": 2.0},
    ],
)
def test_settings_that_cannot_work(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|goes with"):
        replace(SMALL, **changes)


def test_an_unknown_rewriter_is_met_with_the_nearest() -> None:
    with pytest.raises(HnError, match="no rewriter called 'transformer': did you mean 'transformers'"):
        PromptOptimization(replace(SMALL, rewriter="transformer"))


def records(results: Path) -> list[dict[str, Any]]:
    """What is stored of prompt optimization."""
    paths = sorted(results.glob("runs/*prompt-optimization*/records/*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_bench_with_the_embedded_rewriter(
    hn: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    methods = ["--method", "base", "--method", "prompt-optimization:shapes"]
    said = "\n".join(hn(*BENCH, *methods, "--set", "prompt-optimization.images=11", "--results", tmp_path))
    base, ours = read_csv(tmp_path / "shapes" / "table1.csv")
    assert (base.nfe, ours.method, ours.nfe) == (1, "prompt-optimization", 11)
    assert "rewritten by fixed rules of the embedded world instead of a language model" in said
    assert "calls of a language model" not in said
    assert "rounds of rewriting failed" not in said
    for record in records(tmp_path):
        assert (record["nfe"], record["reward_forwards"], record["llm_calls"]) == (11, 11, 0)
        assert record["method_details"]["prompt"]


def test_its_budget_is_the_number_of_images(hn: Callable[..., list[str]], tmp_path: Path) -> None:
    methods = ["--method", "prompt-optimization:shapes", "--method", "best-of-n"]
    hn("budgets", *BENCH[1:], *methods, "--limit", 12, "--budget", "1,4", "--results", tmp_path)
    table = read_table(tmp_path / "shapes" / "budgets-geneval.csv")
    rows = table.set_index(["method", "budget"])
    for method in ("prompt-optimization:shapes", "best-of-n"):
        assert rows.loc[(method, 1), "mean"] == table["mean"][0]
        assert rows.loc[(method, 4), "nfe"] == 4


def test_bench_with_a_local_model(
    hn: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    make_llama(tmp_path / "hub", tmp_path / "llama")
    capsys.readouterr()
    use(tmp_path / "hub", monkeypatch)
    changes = ["--set", "prompt-optimization.images=6"]
    said = "\n".join(
        hn(*BENCH, "--method", "prompt-optimization", *changes, "--results", tmp_path / "results")
    )
    assert "prompt-optimization: 1.0 calls of a language model" in said
    stored = records(tmp_path / "results")
    assert len(stored) == 6
    for record in stored:
        # It writes two wordings, however many are asked for.
        assert (record["nfe"], record["llm_calls"], record["method_details"]["failures"]) == (3, 1, [])
        assert record["llm_tokens"] > 0


def test_bench_with_a_server_that_fails(
    hn: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv(KEY_VARIABLE, "sk-secret")
    with chat_server("I cannot do that.") as (url, handler):
        settings = ("rewriter=openai", f"llm_url={url}", "images=6", "rewrites=3")
        changes = [word for setting in settings for word in ("--set", f"prompt-optimization.{setting}")]
        methods = ["--method", "base", "--method", "prompt-optimization"]
        said = "\n".join(hn(*BENCH, *methods, *changes, "--results", tmp_path))
    assert set(handler.keys) == {"Bearer sk-secret"}
    assert len(handler.asked) == 12
    assert "prompt-optimization: 2.0 calls of a language model, 200 tokens" in said
    assert "prompt-optimization: 12 rounds of rewriting failed (12 × malformed)" in said
    base, ours = read_csv(tmp_path / "shapes" / "table1.csv")
    assert (ours.nfe, ours.mean.value) == (1, base.mean.value)
    for record in records(tmp_path):
        assert record["method_details"] == {
            "prompt": record["prompt"],
            "failures": [f"round {n}: malformed: no numbered line in 'I cannot do that.'" for n in (1, 2)],
        }
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"sk-secret" in content for content in written)
    assert "sk-secret" not in said


def test_bench_without_its_server_is_refused_before_anything_is_stored(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    with chat_server("") as (url, _):
        pass
    changes = [
        *("--set", "prompt-optimization.rewriter=openai"),
        *("--set", f"prompt-optimization.llm_url={url}"),
    ]
    said = refusal(*BENCH, "--method", "prompt-optimization", *changes, "--results", tmp_path)
    assert said.startswith(f"The language model's server {url}/v1 cannot be reached")
    assert records(tmp_path) == []
