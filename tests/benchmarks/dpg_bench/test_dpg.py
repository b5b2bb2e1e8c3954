"""DPG-Bench's rules against the published script's own output, and in closed form where it errs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.dpg_bench import prompts, rules
from benchmarks.dpg_bench.judge import judge_with, metadata_of
from benchmarks.dpg_bench.prompts import Item, read_table
from benchmarks.dpg_bench.rules import MissingQuestionError, Question
from hypernoise.errors import HnError
from hypernoise.experiments.benchmark import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADER = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,"
    "question_natural_language\n"
)


@pytest.fixture(scope="module")
def published(golden: Path) -> Any:
    return json.loads((golden / "dpg" / "dpg_public.json").read_text())


@pytest.fixture(scope="module")
def items(golden: Path) -> dict[str, Item]:
    table = (golden / "dpg" / "dpg_public.csv").read_bytes()
    return {item.name: item for item in read_table(table, as_published=True)}


def test_published_questions(published: Any, items: dict[str, Item]) -> None:
    assert items.keys() == published["question_dict"].keys()
    for name, expected in published["question_dict"].items():
        found = items[name].questions
        assert {str(q.number): q.text for q in found} == expected["qid2question"]
        parents = {number: [p for p in of if p] for number, of in expected["qid2dependency"].items()}
        assert {str(q.number): list(q.parents) for q in found} == parents


@pytest.mark.parametrize("crops", [1, 4])
def test_published_scores(published: Any, items: dict[str, Item], crops: int) -> None:
    expected = published["expected"][f"pic_num_{crops}"]
    found: dict[str, list[float]] = {}
    answered: list[tuple[str, bool]] = []
    for name, of_crops in published["answers"].items():
        if name in published["missing"]:
            continue
        questions = items[name].questions
        given = [
            {q.number: of_crops[str(n)][str(q.number)] == "yes" for q in questions} for n in range(crops)
        ]
        try:
            found[f"{name}.png"] = [rules.image_score(questions, yes, as_published=True) for yes in given]
        except MissingQuestionError:
            continue
        answered += [(q.category, given[-1][q.number]) for q in questions]
    assert found == {name: row["crops"] for name, row in expected["per_image"].items()}
    assert len(found) == expected["n_scored"]
    means = [sum(of) / len(of) for of in found.values()]
    assert 100 * np.mean(means) == pytest.approx(expected["dpg_score"], rel=1e-12)
    for level, name in ((1, "l1"), (2, "l2")):
        scores = {c: 100 * score for c, score in rules.category_scores(answered, level).items()}
        assert scores == pytest.approx({c.strip(): score for c, score in expected[name].items()}, rel=1e-12)


def question(number: int, *parents: int, category: str = "entity - whole") -> Question:
    return Question(number, f"{number}?", parents, category)


def test_a_no_takes_all_that_depends_on_it_along_in_whatever_order() -> None:
    late = [question(3, 2), question(2, 1), question(1), question(4)]
    yes = {1: False, 2: True, 3: True, 4: True}
    assert rules.image_score(late, yes) == 1 / 4
    assert rules.image_score(late, yes, as_published=True) == 2 / 4  # question 3 stood before its parent fell


def test_questions_that_depend_on_each_other_fall_together() -> None:
    circle = [question(1, 2), question(2, 1)]
    assert rules.credited(circle, {1: True, 2: True}) == {1: True, 2: True}
    assert rules.credited(circle, {1: True, 2: False}) == {1: False, 2: False}


def test_a_missing_parent_fails_the_image_as_published_alone() -> None:
    alone = [question(1), question(2, 99)]
    assert rules.image_score(alone, {1: True, 2: True}) == 1
    with pytest.raises(MissingQuestionError, match="question 2 depends on 99"):
        rules.image_score(alone, {1: True, 2: True}, as_published=True)
    # The script does not look at parents behind one that got "no".
    hidden = [question(1), question(2, 1, 99)]
    assert rules.image_score(hidden, {1: False, 2: True}, as_published=True) == 0


def table(*rows: str) -> bytes:
    return (HEADER + "".join(f"{row}\n" for row in rows)).encode()


ROWS = (
    'a,"An apple, red.",,1,0,entity,whole,entity - whole (apple),Is there an apple?',
    'a,"An apple, red.",,2,"1, 0",attribute,color,"attribute - color (apple, red)",Is the apple red?',
    "b,A dog.,,1,0,entity,whole,entity - whole (dog),Is there a dog?",
    'a,"An apple, red.",,3,2,global,,global -  (photo),Is it a photo?',
)


def test_a_table_is_read_whole_by_default() -> None:
    first, second = read_table(table(*ROWS))
    assert (first.name, first.text) == ("a", "An apple, red.")
    assert [(q.number, q.parents, q.category) for q in first.questions] == [
        (1, (), "entity - whole"),
        (2, (1,), "attribute - color"),
        (3, (2,), "global -"),
    ]
    assert [q.text for q in second.questions] == ["Is there a dog?"]


def test_the_published_script_loses_rows() -> None:
    first, second = read_table(table(*ROWS), as_published=True)
    assert [q.number for q in first.questions] == [3]
    assert [q.number for q in second.questions] == [1]


@pytest.mark.parametrize("content", [b"", b"prompt\na dog\n", table("a,b,,one,0,c,d,e,f"), b"\xff\xfe"])
def test_other_files_are_no_tables(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"columns|int|decode"):
        read_table(content)


def test_a_table_of_other_prompts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERNOISE_CACHE", str(tmp_path))
    path = tmp_path / "prompts" / "dpg-bench" / "dpg_bench.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(table(*ROWS))
    with pytest.raises(HnError, match="holds no prompts that can be read"):
        prompts.published_items()
    monkeypatch.setattr(prompts, "PROMPTS", 2)
    assert [item.name for item in prompts.published_items()] == ["a", "b"]


def test_the_judge_counts_what_the_model_answers() -> None:
    item = read_table(table(*ROWS))[0]
    case = Prompt(0, item.text, "prompts", metadata_of(item.name, item.text, item.questions))

    def answer(images: Sequence[Any], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        assert list(questions[0]) == ["Is there an apple?", "Is the apple red?", "Is it a photo?"]
        return [[0.9, 0.5, 0.7] for _ in images]

    (found,) = judge_with(answer)([np.zeros((4, 4, 3), np.uint8)], [case])
    assert (found.score, found.reason) == (pytest.approx(1 / 3), "Is the apple red?")
    assert found.details == {
        "answers": [["entity - whole", True], ["attribute - color", False], ["global -", True]]
    }


def test_questions_that_depend_on_none_are_found() -> None:
    assert rules.undefined([question(1), question(2, 1, 99)]) == [99]
