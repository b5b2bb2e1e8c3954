"""The seeded draw against the published prompt set."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.geneval import prompts
from benchmarks.geneval.benchmark import GenEval
from benchmarks.geneval.coco_names import COCO_NAMES
from hypernoise.errors import HnError

SHARED = Path(__file__).parents[3] / "../shared"


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip("golden values not found")
    return SHARED / name


@pytest.fixture(scope="module")
def check() -> Any:
    return json.loads(shared("golden/geneval/prompts_check.json").read_text())


def test_the_published_checksum_and_counts() -> None:
    drawn = prompts.coco_prompts()
    assert prompts.sha256(drawn) == prompts.COCO_SHA256
    assert Counter(metadata["tag"] for metadata in drawn) == dict(
        zip(GenEval.report.columns, (80, 99, 80, 94, 100, 100), strict=True)
    )


def test_published_file(check: Any) -> None:
    drawn = prompts.coco_prompts()
    assert check["stored"]["evaluation_metadata.jsonl"] == prompts.COCO_SHA256
    assert prompts.to_jsonl(drawn) == shared("data/geneval/evaluation_metadata.jsonl").read_text()
    text = "".join(metadata["prompt"] + "\n" for metadata in drawn)
    assert hashlib.sha256(text.encode()).hexdigest() == check["stored"]["generation_prompts.txt"]


def test_object_names() -> None:
    assert list(COCO_NAMES) == shared("data/geneval/object_names.txt").read_text().splitlines()


def test_other_seeds(check: Any) -> None:
    for case in check["other_seeds"].values():
        drawn = prompts.draw(COCO_NAMES, seed=case["seed"], n=case["n"])
        assert len(drawn) == case["rows"]
        assert prompts.sha256(drawn) == case["sha256_metadata"]


def test_another_numpy_stream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "draw", lambda names: [prompts.single(name) for name in names])
    with pytest.raises(HnError, match="numpy"):
        prompts.coco_prompts()


def test_other_object_names() -> None:
    drawn = prompts.draw(("circle", "person", "square", "ring"), seed=0, n=40)
    named = [clause for metadata in drawn for clause in metadata["include"] if "color" in clause]
    assert {clause["class"] for clause in named} == {"circle", "square", "ring"}
    assert len({metadata["prompt"] for metadata in drawn}) == len(drawn)


@pytest.mark.parametrize("names", [("circle", "square", "ring"), ("person", "cup")])
def test_draw_refuses_names_it_cannot_draw_from(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="person"):
        prompts.draw(names)


@pytest.mark.parametrize(
    ("metadata", "prompt"),
    [
        (prompts.single("apple"), "a photo of an apple"),
        (prompts.two("ring", "oval"), "a photo of a ring and an oval"),
        (prompts.counting("bus", 3), "a photo of three buses"),
        (prompts.counting("couch", 2), "a photo of two couchs"),
        (prompts.colored("apple", "red"), "a photo of a red apple"),
        (prompts.position("ring", "left of", "oval"), "a photo of a ring left of an oval"),
        (
            prompts.color_attribution("ring", "orange", "oval", "red"),
            "a photo of an orange ring and a red oval",
        ),
    ],
)
def test_phrasing(metadata: prompts.Metadata, prompt: str) -> None:
    assert metadata["prompt"] == prompt


def test_a_position_points_at_its_target() -> None:
    target, clause = prompts.position("ring", "above", "oval")["include"]
    assert (target["class"], clause["class"], clause["position"]) == ("oval", "ring", ["above", 0])


@pytest.mark.parametrize("count", [1, 11])
def test_counts_out_of_range(count: int) -> None:
    with pytest.raises(ValueError, match="count"):
        prompts.counting("ring", count)
