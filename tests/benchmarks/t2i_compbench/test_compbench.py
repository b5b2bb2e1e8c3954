"""T2I-CompBench's rules and prompts against the published ones."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.t2i_compbench import prompts, rules
from benchmarks.t2i_compbench.benchmark import T2ICompBench
from benchmarks.t2i_compbench.judge import judge_with
from hypernoise.experiments.benchmark import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLACES = ("top", "the side", "the left", "the right")
PUBLISHED_FILES = {
    "color": "1634259756dbc77d13093d907d414480080ec9790a8c97ad09efaea7b2534f2d",
    "shape": "37e1a276906c7ea9516cbd7ac8501be896006c0c17ca7344f260562834455bae",
    "texture": "fbb5363515b4a28009e360afaaaf389d2dd2289e50dbb0c6ef4ea0c7fe4f3d4f",
}


@pytest.mark.parametrize("name", ["color", "shape_np2", "texture"])
def test_published_scores(golden: Path, name: str) -> None:
    case = json.loads((golden / "t2i_compbench" / f"agg_{name}_public.json").read_text())
    scores = []
    for row in case["rows"]:
        asked = len(rules.questions(row["kept"], case["np_num"]))
        scores.append(rules.image_score(row["p_yes_raw"][:asked], case["np_num"]))
        assert scores[-1] == float(row["score"]), row["prompt"]
    category = name.removesuffix("_np2")
    records = [
        {"prompt_index": i, "seed": 0, "task": category, "score": score} for i, score in enumerate(scores)
    ]
    _, printed = case["score_txt"].split(":")
    assert T2ICompBench().columns(records)[category].mean == pytest.approx(float(printed), rel=1e-12)


def test_published_phrases(golden: Path) -> None:
    check = json.loads((golden / "t2i_compbench" / "noun_phrases.json").read_text())
    rows = prompts.published_prompts()
    for category in prompts.CATEGORIES:
        ours = [(row["prompt"], row["phrases"]) for row in rows if row["category"] == category]
        assert ours == [(row["prompt"], row["kept"]) for row in check[category]["prompts"]]
    chunks = [row for category in prompts.CATEGORIES for row in check[category]["prompts"]]
    for row in chunks:
        assert row["kept"] == [each for each in row["noun_chunks"] if each not in PLACES]


@pytest.mark.parametrize("category", prompts.CATEGORIES)
def test_the_prompts_are_the_published_files(category: str) -> None:
    texts = [row["prompt"] for row in prompts.published_prompts() if row["category"] == category]
    assert len(texts) == 300
    end = "\r\n" if category == "shape" else ""
    content = "\r\n".join(texts) + end
    assert hashlib.sha256(content.encode()).hexdigest() == PUBLISHED_FILES[category]


def test_a_score_in_closed_form() -> None:
    assert rules.image_score([0.5, 0.5]) == 0.25
    assert rules.image_score([]) == 1
    assert rules.image_score([0.99996, 0.12344]) == 0.1234  # 1.0000 × 0.1234
    assert rules.image_score([0.5] * 8 + [0.0]) == 0.0039  # the ninth phrase is not asked


def test_phrases_become_questions() -> None:
    assert rules.questions(["a green bench", "a bowl"]) == ["a green bench?", "a bowl?"]
    assert len(rules.questions(["a"] * 9)) == 8


def test_the_judge_asks_each_image_its_own_questions() -> None:
    def vqa(images: Sequence[Any], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        assert [len(images), *map(list, questions)] == [2, ["a cup?", "a red dog?"], ["a cat?"]]
        return [[0.9, 0.25], [0.50004]]

    metadata = [{"phrases": ["a cup", "a red dog"]}, {"phrases": ["a cat"]}]
    cases = [Prompt(i, "", "color", each) for i, each in enumerate(metadata)]
    first, second = judge_with(vqa)([np.zeros((4, 4, 3), np.uint8)] * 2, cases)
    assert (first.score, first.reason) == (0.225, "a red dog? yes with 0.25")
    assert first.details == {"answers": {"a cup?": 0.9, "a red dog?": 0.25}}
    assert second.score == 0.5


def test_every_published_prompt_has_a_phrase() -> None:
    assert all(
        row["phrases"] and not re.search(r"[\r\n]", row["prompt"]) for row in prompts.published_prompts()
    )
