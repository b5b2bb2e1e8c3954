"""No prompt is trained on and evaluated on, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.geneval.prompts import coco_prompts
from hypernoise.errors import HnError
from hypernoise.prompts.overlap import normalized, overlap, refuse_overlap
from hypernoise.prompts.sets import CATALOGUE, distinct, load
from hypernoise.shapes.suite import evaluation_suite

DATA = Path(__file__).parents[2] / "../shared/data"


@pytest.mark.parametrize(
    "written",
    [
        "A photo of a cat",
        "a  photo of\ta cat ",
        "a photo of a cat.",
        "a photo of a cat .",
        "A PHOTO OF A CAT?!\n",
    ],
)
def test_other_spellings_of_a_prompt(written: str) -> None:
    assert normalized(written) == "a photo of a cat"
    assert overlap(["a dog", written], ["a photo of a cat!"]) == [written]


@pytest.mark.parametrize(
    "other", ["a photo of a cats", "photo of a cat", "a photo, of a cat", "a photo of a cat: two"]
)
def test_other_prompts(other: str) -> None:
    assert overlap([other], ["a photo of a cat"]) == []


def test_the_order_and_spelling_of_the_training() -> None:
    assert overlap(["B.", "c", "a", "b"], ["A", "b", "d"]) == ["B.", "a", "b"]
    assert overlap([], ["a"]) == overlap(["a"], []) == []


def test_refusal_and_permission() -> None:
    training = ["a dog", "A cat.", "a cup"]
    with pytest.raises(HnError) as refused:
        refuse_overlap(training, ["a cat", "a cup", "a hat"], allow=False)
    assert str(refused.value) == (
        "2 of the 3 training prompts are also evaluation prompts, for one 'A cat.'; "
        "train on others, or give --allow-overlap."
    )
    assert refuse_overlap(training, ["a cat", "a cup"], allow=True) == ["A cat.", "a cup"]
    assert refuse_overlap(training, ["a hat"], allow=False) == []


def test_the_embedded_worlds_training_meets_no_evaluation() -> None:
    training = load("shapes-train")
    shapes = [description.text() for _, description in evaluation_suite()]
    assert overlap(training, shapes) == []
    assert overlap(training, [metadata["prompt"] for metadata in coco_prompts()]) == []
    assert overlap([*training, shapes[0].upper() + "."], shapes) == [shapes[0].upper() + "."]


def published(folder: str, name: str) -> list[str]:
    path = DATA / folder / name
    if not path.exists():
        pytest.skip("the published prompt files are not beside this checkout")
    return load(path)


@pytest.mark.parametrize(
    ("name", "folder", "overlaps"),
    [
        ("t2i-compbench-train", "t2i_compbench", {"shape": 4, "spatial": 2}),
        ("abc-6k", "train_prompts", {"color": 52}),
    ],
)
def test_the_papers_training_prompts(name: str, folder: str, overlaps: dict[str, int]) -> None:
    """GenEval's are not among them, some of T2I-CompBench's are: what the descriptions say."""
    training = distinct(line for file in CATALOGUE[name].files for line in published(folder, file.name))
    assert overlap(training, [metadata["prompt"] for metadata in coco_prompts()]) == []
    categories = ("color", "complex", "texture", "shape", "spatial", "non_spatial", "numeracy")
    found = {
        each: len(overlap(training, published("t2i_compbench", f"{each}_val.txt"))) for each in categories
    }
    assert {each: number for each, number in found.items() if number} == overlaps
