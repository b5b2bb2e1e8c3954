"""The prompts of T2I-CompBench's other categories against the published files, and how they were read."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.t2i_compbench import prompts, spatial
from benchmarks.t2i_compbench.objects_judge import nouns
from benchmarks.t2i_compbench.other_benchmark import T2ICompBenchOther
from hypernoise.errors import HnError

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED_FILES = {
    "spatial": ("8707a1d7e42ce3002d95363cf55f74bd043c843ae27108f5125aaaa7840ca988", "\r\n", ""),
    "numeracy": ("dad8df141604b70ba7554bec724e3db0a80023680769b5c514854ea2d2527bbe", "\n", ""),
    "non_spatial": ("04c56cc9ac441dc9ea6c5157652058bd1635b5308526dd31bb29a1caab9a758d", "\r\n", "\r\n"),
    "complex": ("1b808018b8d9916db3d47d5aa2ef18377a3549a56901a474156f799824cdf3b4", "\r\n", ""),
}
NUMBERS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
}


def rows(category: str) -> list[dict[str, Any]]:
    return [row for row in prompts.other_prompts() if row["category"] == category]


@pytest.fixture
def data(golden: Path) -> Path:
    """The published files of prompts."""
    return golden.parent / "data" / "t2i_compbench"


@pytest.mark.parametrize("category", T2ICompBenchOther.report.columns)
def test_the_other_prompts_are_the_published_files(category: str) -> None:
    texts = [row["prompt"] for row in rows(category)]
    assert len(texts) == 300
    digest, line_end, last = PUBLISHED_FILES[category]
    assert hashlib.sha256((line_end.join(texts) + last).encode()).hexdigest() == digest


def test_spatial_prompts_are_two_objects_and_a_relation() -> None:
    for row in rows("spatial"):
        first, second = row["objects"]
        assert row["prompt"] == f"a {first} {row['relation']} a {second}"
        assert row["relation"] in {*spatial.BESIDE, *spatial.DIRECTIONS}


def test_counts_are_the_number_words_before_published_objects(data: Path) -> None:
    pairs = [line.split(" - ") for line in (data / "new_objects.txt").read_text().splitlines()]
    singular = {each.strip(): one.strip() for one, each in pairs}
    for row in rows("numeracy"):
        words = re.findall(r"\w+", row["prompt"])
        expected = [
            [word if NUMBERS[number] == 1 else singular[word], NUMBERS[number]]
            for number, word in pairwise(words)
            if number in NUMBERS and word in (singular.values() if NUMBERS[number] == 1 else singular)
        ]
        assert row["counts"] == expected != []


def test_complex_prompts_have_the_parts_of_the_published_lists(data: Path) -> None:
    def listed(kind: str) -> set[str]:
        lines = (data / f"complex_val_{kind}.txt").read_text().splitlines()
        return {line.split(".")[0].lower() for line in lines}

    for row in rows("complex"):
        text = row["prompt"].split(".")[0].lower()
        positioned, acting = "relation" in row, "sentence" in row
        assert (positioned, acting) == (text not in listed("action"), text not in listed("spatial"))
    parts = Counter(("relation" in row, "sentence" in row) for row in rows("complex"))
    assert parts == {(True, False): 58, (False, True): 212, (True, True): 30}


def test_sentences_of_complex_prompts_lack_words_alone() -> None:
    for row in rows("complex"):
        assert row["phrases"]
        kept = iter(re.findall(r"\w+", row["prompt"]))
        assert all(word in kept for word in re.findall(r"\w+", row.get("sentence", "")))
    assert {row["sentence"] == row["prompt"] for row in rows("non_spatial")} == {True}


def test_all_published_prompts_are_asked() -> None:
    found = T2ICompBenchOther().prompts("coco")
    assert [prompt.metadata for prompt in found] == prompts.other_prompts()
    assert Counter(prompt.task for prompt in found) == dict.fromkeys(T2ICompBenchOther.report.columns, 300)
    assert [prompt.index for prompt in found] == list(range(1200))


def test_the_detector_is_asked_for_every_object_of_a_prompt_once() -> None:
    for prompt in T2ICompBenchOther().prompts("coco"):
        asked = nouns(prompt)
        assert len(set(asked)) == len(asked)
        assert bool(asked) == ("counts" in prompt.metadata or bool(prompt.metadata.get("objects")))
    # The published parser reads no two objects from these.
    unread = [p for p in T2ICompBenchOther().prompts("coco") if p.metadata.get("objects") == []]
    assert [prompt.task for prompt in unread] == ["complex"] * 2


def test_files_are_numbered_within_their_category() -> None:
    benchmark = T2ICompBenchOther()
    files = benchmark.layout(benchmark.prompts("coco"), 2)
    assert len(files) == 2400
    assert [file.path for file in files if file.prompt.task == "numeracy"][:3] == [
        "numeracy/samples/two boys_000000.png",
        "numeracy/samples/two boys_000001.png",
        "numeracy/samples/six airplanes_000002.png",
    ]


def test_a_changed_file_of_prompts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prompts.SHA256, "other_prompts.jsonl", "0" * 64)
    with pytest.raises(HnError, match=r"other_prompts\.jsonl was changed"):
        prompts.other_prompts()
