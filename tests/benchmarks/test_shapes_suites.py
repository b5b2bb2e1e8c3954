"""The embedded world's counterparts of the benchmarks: prompts, judges on scenes that are known, and their tables."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from benchmarks.diversity.benchmark import Diversity
from benchmarks.diversity.rules import distances
from benchmarks.diversity.shapes import ShapesFeatures
from benchmarks.dpg_bench import prompts
from benchmarks.dpg_bench.benchmark import DpgBench, DpgBenchAsPublished, category_estimates
from benchmarks.dpg_bench.judge import metadata_of
from benchmarks.dpg_bench.shapes import questions
from benchmarks.t2i_compbench.benchmark import T2ICompBench
from benchmarks.t2i_compbench.other_benchmark import T2ICompBenchOther
from benchmarks.t2i_compbench.other_shapes import asked_of
from hypernoise.errors import HnError
from hypernoise.experiments.bench import Request, plan
from hypernoise.experiments.benchmark import Prompt
from hypernoise.experiments.plan import pieces
from hypernoise.pixels import to_images
from hypernoise.shapes.captions import Description, Phrase, scene_for
from hypernoise.shapes.judge import VERSION
from hypernoise.shapes.scenes import render
from hypernoise.shapes.suite import reserved
from hypernoise.shapes.vocabulary import tokenize
from hypernoise.tables.from_runs import stored_runs
from hypernoise.tables.reference import paper_rows
from hypernoise.tables.table1 import read_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hypernoise.experiments.benchmark import Judged

CPU = torch.device("cpu")
PAIR = Description((Phrase("circle", "red"), Phrase("square", "blue")))
SWAPPED = Description((Phrase("circle", "blue"), Phrase("square", "red")))
ROW = Description(
    (Phrase("circle", "red"), Phrase("square", "blue"), Phrase("star", "green"), Phrase("moon", "pink")),
    ("left of", None, "left of"),
)


def drawings(description: Description, count: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [render(scene_for(rng, description)) for _ in range(count)]


def described(text: str) -> Description:
    """The description behind a prompt of colored shapes joined by "and"."""
    parts = text.removeprefix("a photo of ").split(" and ")
    return Description(tuple(Phrase(part.split()[2], part.split()[1]) for part in parts))


def judge(benchmark: Any, images: Sequence[np.ndarray], prompt: Prompt) -> list[Judged]:
    judged: list[Judged] = benchmark.judge("shapes", CPU)(images, [prompt] * len(images))
    return judged


@pytest.mark.parametrize(
    ("benchmark", "tasks"),
    [
        (T2ICompBench(), {"color": 90, "shape": 90}),
        (T2ICompBenchOther(), {"spatial": 90, "numeracy": 90}),
        (DpgBench(), {"scene": 60, "arrangement": 60}),
    ],
)
def test_suites_are_fixed_and_hold_no_prompt_twice(benchmark: Any, tasks: dict[str, int]) -> None:
    suite = benchmark.prompts("shapes")
    assert suite == type(benchmark)().prompts("shapes")
    assert len({prompt.text for prompt in suite}) == len(suite) == sum(tasks.values())
    assert {task: sum(prompt.task == task for prompt in suite) for task in tasks} == tasks


def test_attribute_binding_prompts_are_never_trained_on() -> None:
    for prompt in T2ICompBench().prompts("shapes"):
        description = described(prompt.text)
        colors = {phrase.color for phrase in description.phrases}
        assert len({phrase.shape for phrase in description.phrases}) == 2
        assert reserved(description) if prompt.task == "color" else len(colors) == 1
        assert prompt.metadata["phrases"] == [phrase.text() for phrase in description.phrases]


def test_the_embedded_judge_tells_bound_attributes_from_swapped_ones() -> None:
    prompt = T2ICompBench().prompts("shapes")[0]
    description = described(prompt.text)
    a, b = description.phrases
    swapped = Description((Phrase(a.shape, b.color), Phrase(b.shape, a.color)))
    right = judge(T2ICompBench(), drawings(description), prompt)
    wrong = judge(T2ICompBench(), drawings(swapped), prompt)
    assert np.mean([each.score for each in right]) > 0.9
    assert max(each.score for each in wrong) < 0.1


def test_placed_shapes_are_never_trained_on_and_counts_have_room() -> None:
    for prompt in T2ICompBenchOther().prompts("shapes"):
        if prompt.task == "spatial":
            first, relation, second = re.split(r" (left of|right of|above|below) ", prompt.text)
            phrases = described(first).phrases + described(f"a photo of {second}").phrases
            assert reserved(Description(phrases, (relation,)))
            assert prompt.metadata["objects"] == [phrase.shape for phrase in phrases]
        else:
            counts = [count for _, count in prompt.metadata["counts"]]
            assert 2 <= sum(counts) <= 4
            assert len(counts) == prompt.text.count(" and ") + 1
    sizes = Counter(len(p.metadata.get("counts", [])) for p in T2ICompBenchOther().prompts("shapes"))
    assert min(sizes[1], sizes[2]) > 5


def asked(description: Description) -> Prompt:
    return Prompt(0, description.text(), "", asked_of(description))


def test_the_published_rules_score_positions_of_drawn_shapes() -> None:
    pair = (Phrase("circle", "red"), Phrase("square", "blue"))
    for relation, opposite in (("left of", "right of"), ("above", "below")):
        images = drawings(Description(pair, (relation,)))
        right = judge(T2ICompBenchOther(), images, asked(Description(pair, (relation,))))
        wrong = judge(T2ICompBenchOther(), images, asked(Description(pair, (opposite,))))
        assert np.mean([each.score for each in right]) > 0.9
        # Half the confidence in both is at most a half, which the rules let stand.
        assert max(each.score for each in wrong) <= 0.5
    (missing,) = judge(
        T2ICompBenchOther(),
        drawings(Description(pair), 1),
        asked(Description((Phrase("circle"), Phrase("moon")), ("above",))),
    )
    assert (missing.score, missing.reason) == (0, "found no moon")


def test_the_published_rules_score_numbers_of_drawn_shapes() -> None:
    three = Description((Phrase("star", "red", 2), Phrase("ring", "blue")))
    images = drawings(three)

    def scores(*counts: tuple[str, int]) -> list[float]:
        prompt = asked(Description(tuple(Phrase(shape, count=count) for shape, count in counts)))
        return [each.score for each in judge(T2ICompBenchOther(), images, prompt)]

    assert np.mean(scores(("star", 2), ("ring", 1))) > 0.95
    assert np.mean(scores(("star", 3), ("ring", 1))) == pytest.approx(0.75, abs=0.05)
    assert np.mean(scores(("star", 1), ("moon", 1))) == pytest.approx(0.25, abs=0.05)


def test_questions_depend_on_the_shapes_that_they_are_about() -> None:
    asked = questions(ROW)
    assert [(q.text, q.parents) for q in asked] == [
        ("Is there a circle?", ()),
        ("Is the circle red?", (1,)),
        ("Is there a square?", ()),
        ("Is the square blue?", (3,)),
        ("Is there a star?", ()),
        ("Is the star green?", (5,)),
        ("Is there a moon?", ()),
        ("Is the moon pink?", (7,)),
        ("Is the circle left of the square?", (1, 3)),
        ("Is the star left of the moon?", (5, 7)),
        ("Are there 4 objects?", ()),
    ]
    assert {q.category for q in asked} == {
        "entity - whole", "attribute - color", "relation - spatial", "other - count",
    }  # fmt: skip


def test_the_embedded_judge_answers_as_the_scene_is() -> None:
    first = next(p for p in DpgBench().prompts("shapes") if p.task == "arrangement")
    prompt = Prompt(0, ROW.text(), first.task, metadata_of("row", ROW.text(), questions(ROW)))
    right = judge(DpgBench(), drawings(ROW), prompt)
    assert np.mean([each.score for each in right]) > 0.95
    (empty,) = judge(DpgBench(), [np.full((32, 32, 3), 134, dtype=np.uint8)], prompt)
    assert empty.score == 0
    pair = judge(DpgBench(), drawings(PAIR), prompt)
    # Two of four shapes with their colors; their relation is left to chance; neither the others nor the count.
    assert {each.score for each in pair} <= {4 / 11, 5 / 11}


def test_embedded_features_are_means_over_places() -> None:
    features = ShapesFeatures(CPU)
    red, blue = drawings(PAIR, 1)[0], drawings(SWAPPED, 1)[0]
    vectors = features.perceptual([red, blue])
    torch.testing.assert_close(vectors.square().sum(1), torch.ones(2))
    assert 0 < (vectors[0] - vectors[1]).square().sum() < 4
    # The semantic vector is the one that the reward compares with captions.
    text = features.scorer.read(torch.from_numpy(tokenize([PAIR.text()])))
    cosine = features.semantic([red]) @ text["embedding"].T
    expected = (features.scorer.scale.exp() * cosine + features.scorer.bias).squeeze(1)
    encoded = features.reward.encode([PAIR.text()])
    torch.testing.assert_close(features.reward.score(to_images(np.stack([red])), encoded), expected)


def record(prompt: int, seed: int, score: float, reason: str = "", **details: Any) -> dict[str, Any]:
    return {
        "prompt_index": prompt, "seed": seed, "task": "scene", "score": score, "reason": reason, "details": details,
    }  # fmt: skip


FAILED = "failed: the image is not finite"


def test_category_scores_are_shares_of_answers_and_a_failure_is_all_no() -> None:
    entity, color = "entity - whole", "attribute - color"
    records = [
        record(0, 0, 1.0, answers=[[entity, True], [entity, True], [color, True]]),
        record(0, 1, 0.0, FAILED, answers=[[entity, True], [entity, True], [color, True]]),
        record(1, 0, 0.0, answers=[[entity, False]]),
        record(1, 1, 0.0, answers=[[entity, True]]),
    ]
    found = category_estimates(records)
    assert {name: each.mean for name, each in found.items()} == {"entity": 3 / 6, "attribute": 1 / 2}
    assert DpgBench().scores(records).value == [1, 0, 0, 0]
    assert "attribute - color 50.00, entity - whole 50.00." in DpgBench().remarks("shapes", records)[-1]
    last = DpgBenchAsPublished().columns(records)
    assert {name: each.mean for name, each in last.items()} == {"entity": 1 / 3, "attribute": 0}


def test_diversity_columns_are_means_and_deviations_over_prompts() -> None:
    values = {0: (0.2, 0.4), 1: (0.8, 0.6), 2: (0.5, 0.5)}
    records = [
        record(prompt, seed, value, similarity=1 - value)
        for prompt, of in values.items()
        for seed, value in enumerate(of)
    ]
    found = Diversity().columns(records)
    assert found["distance_sd"].mean == pytest.approx(0.2)
    assert found["similarity"].mean == pytest.approx(0.5)
    assert found["similarity_sd"].mean == pytest.approx(0.2)
    # A failed image resembles all others: it never looks like diversity.
    broken = [records[0] | {"score": 0.0, "reason": FAILED}, *records[1:]]
    assert Diversity().columns(broken)["similarity"].mean == pytest.approx(0.5 + 0.2 / 6)


def test_a_prompt_s_images_are_never_torn_apart(tmp_path: Path, hn: Callable[..., list[str]]) -> None:
    request = Request("diversity", "shapes", ["base"], "6", 4, 1, None, [], [], 40, "cpu")
    ((only,), suite, _) = plan(request, CPU)
    assert [len(piece.samples) for piece in pieces(suite, only.settings, whole_prompts=True)] == [24]
    small = replace(only.settings, batch=4)
    assert [len(piece.samples) for piece in pieces(suite, small, whole_prompts=True)] == [6] * 4
    # They are made in smaller batches all the same, and compared with all others of their prompt.
    hn(
        "bench",
        "diversity",
        "--seeds",
        6,
        "--limit",
        2,
        "--batch",
        4,
        "--device",
        "cpu",
        "--results",
        tmp_path,
    )
    (run,) = stored_runs(tmp_path)
    assert [cost["batch"] for cost in run.store.costs()] == [4, 4, 4, 4, 2, 2] * 2
    features = ShapesFeatures(CPU)
    for index in {record["prompt_index"] for record in run.records}:
        of_prompt = [record for record in run.records if record["prompt_index"] == index]
        images = [run.store.read_image(record) for record in of_prompt]
        expected = distances(images, features.perceptual)
        assert [record["score"] for record in of_prompt] == pytest.approx(expected.tolist())
    with pytest.raises(HnError, match="give --seeds 2 or more"):
        plan(Request("diversity", "shapes", ["base"], "1", 4, 1, None, [], [], 40, "cpu"), CPU)


TABLES = {
    "t2i-compbench": (5, {"color", "shape"}),
    "dpg-bench": (6, {"entity", "attribute", "relation", "other"}),
    "diversity": (7, {"distance_sd", "similarity", "similarity_sd"}),
}


@pytest.mark.parametrize("name", TABLES)
def test_one_command_makes_the_table(name: str, hn: Callable[..., list[str]], tmp_path: Path) -> None:
    number, columns = TABLES[name]
    options = ["--seeds", 3, "--limit", 12, "--batch", 9, "--device", "cpu", "--results", tmp_path]
    hn("bench", name, "--method", "base", "--method", "best-of-n", "--set", "best-of-n.n=2", *options)
    base, best = read_csv(tmp_path / "shapes" / f"table{number}.csv")
    assert set(base.tasks) == columns
    runs = {run.settings["method"]: run for run in stored_runs(tmp_path)}
    scores = [each["score"] for each in runs["base"].records]
    assert base.mean.value == pytest.approx(np.mean(scores))
    assert best.delta is not None
    assert best.delta.value == pytest.approx(best.mean.value - base.mean.value)
    printed = (tmp_path / "shapes" / f"table{number}.md").read_text()
    assert f"(Table {number})" in printed
    assert "Embedded world" in printed
    assert "*sana*" in printed
    assert any("smallest detectable difference" in line for line in printed.splitlines())
    lines = hn("table", number, "--results", tmp_path)
    assert any("Judge:" in line or "Distance:" in line for line in lines)


def test_one_command_makes_the_table_that_the_paper_lacks(
    hn: Callable[..., list[str]], tmp_path: Path
) -> None:
    options = ["--seeds", 2, "--limit", 12, "--device", "cpu", "--results", tmp_path]
    hn("bench", "t2i-compbench-other", "--method", "base", *options)
    (base,) = read_csv(tmp_path / "shapes" / "t2i-compbench-other.csv")
    assert set(base.tasks) == {"spatial", "numeracy"}
    (run,) = stored_runs(tmp_path)
    assert base.mean.value == pytest.approx(np.mean([record["score"] for record in run.records]))
    assert run.settings["judges"] == {"shapes-judge": VERSION}
    printed = (tmp_path / "shapes" / "t2i-compbench-other.md").read_text()
    assert "no non-spatial or complex prompts" in printed
    assert "Paper" not in printed


@pytest.mark.parametrize(
    ("table", "model", "steps", "column", "value"),
    [
        (5, "base", 1, "shape", 0.49),
        (5, "hypernoise", 4, "texture", 0.65),
        (6, "hypernoise", 4, "mean", 80.82),
        (6, "base", 2, "nfe", 2),
        (7, "hypernoise", None, "similarity", 0.825),
        (7, "base", None, "distance_sd", 0.074),
    ],
)
def test_the_paper_s_numbers(table: int, model: str, steps: int | None, column: str, value: float) -> None:
    frame = paper_rows(table)
    rows = frame[(frame["method"] == model) & ((frame["steps"] == steps) if steps else True)]
    assert rows[column].tolist() == [value]


def test_the_variant_as_published_names_itself_and_leaves_out_what_cannot_be_counted(
    golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERNOISE_CACHE", str(tmp_path))
    folder = tmp_path / "prompts" / "dpg-bench"
    folder.mkdir(parents=True)
    (folder / "dpg_bench.csv").write_bytes((golden / "dpg" / "dpg_public.csv").read_bytes())
    monkeypatch.setattr(prompts, "PROMPTS", 75)
    whole, published = DpgBench().prompts("coco"), DpgBenchAsPublished().prompts("coco")
    assert (len(whole), len(published) < 75) == (75, True)
    assert whole[0].metadata["item_id"] == "183"
    assert "183" not in [each.metadata["item_id"] for each in published]
    assert any("first row is skipped" in each for each in DpgBenchAsPublished().remarks("coco", []))
    assert any("not the published mPLUG-large" in each for each in DpgBench().remarks("coco", []))
