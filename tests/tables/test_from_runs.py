"""Table 1's rows from runs made by hand, whose numbers are known in closed form."""

from __future__ import annotations

import re
import shutil
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.experiments.store import RunStore
from hypernoise.experiments.timing import Timed
from hypernoise.tables.from_runs import StoredRun, comparable, find_run, notes, rows, stored_runs
from hypernoise.tables.publish import write_table
from hypernoise.tables.table1 import Estimate, read_csv
from hypernoise.tables.timing import Timing, publish_timing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Scores = Mapping[str, Sequence[Sequence[float]]]

SETTINGS: dict[str, Any] = {
    "model": "shapes",
    "method": "base",
    "preset": "paper",
    "method_settings": {},
    "benchmark": "geneval",
    "suite": "shapes",
    "prompts_sha256": "0123456789abcdef",
    "first_seed": 0,
    "steps": 1,
    "rewards": {"shapes-match": 1.0},
    "batch": 40,
    "device": "cpu",
    "weights": {"transformer": "d659"},
    "versions": {"torch": "2.14.1"},
}
MACHINE = {"processor": "A Processor", "threads": 2, "device": "cpu"}
# Task means 5/8 and 1/4: base is right in 7/16 of its tasks' images.
BASE: Scores = {"colors": [[1, 1], [1, 0], [1, 1], [0, 0]], "position": [[0, 0], [1, 0]]}
# One more image right of each of four prompts: +3/8 in colors, +1/4 in position.
BETTER: Scores = {"colors": [[1, 1], [1, 1], [1, 1], [1, 1]], "position": [[0, 0], [1, 1]]}


class Store(Protocol):
    """Writes a run as `hn bench` leaves it."""

    def __call__(
        self,
        name: str,
        scores: Scores = ...,
        started: str = ...,
        seconds: Sequence[float] = ...,
        nfe: Sequence[int] = ...,
        failed: int = ...,
        pieces: int | None = ...,
        **settings: Any,
    ) -> StoredRun: ...


@pytest.fixture
def store(tmp_path: Path) -> Store:
    def write(
        name: str,
        scores: Scores = BASE,
        started: str = "2026-01-01T00:00:00Z",
        seconds: Sequence[float] = (0.5,),
        nfe: Sequence[int] = (1,),
        failed: int = 0,
        pieces: int | None = None,
        **settings: Any,
    ) -> StoredRun:
        run = RunStore(tmp_path / "runs" / name)
        prompts = [(task, images) for task, of_task in scores.items() for images in of_task]
        seeds = len(prompts[0][1])
        settings = SETTINGS | {"prompts": len(prompts), "seeds": seeds} | settings
        run.write_manifest(
            {
                "run": name,
                "settings": settings,
                "parameters": 2_380_512,
                "machine": MACHINE,
                "started": started,
            }
        )
        for piece, (task, images) in list(enumerate(prompts))[:pieces]:
            keys = [{"prompt_index": piece, "seed": settings["first_seed"] + n} for n in range(seeds)]
            records, costs = [], []
            for n, (key, score) in enumerate(zip(keys, images, strict=True)):
                number = piece * seeds + n
                reason = "failed: the image is not finite" if number < failed else ""
                spent = {"nfe": nfe[number % len(nfe)]}
                records.append(key | {"task": task, "score": float(score), "reason": reason} | spent)
                costs.append(key | {"seconds": seconds[number % len(seconds)]})
            run.write_piece(piece, records, costs)
        return StoredRun(run)

    return write


def test_a_row_of_base(store: Store) -> None:
    (row,) = rows([store("base", seconds=(0.1, 0.2, 0.9), nfe=(1, 2), steps=2)])
    assert (row.model, row.method, row.steps, row.prompts, row.seeds) == ("shapes", "base", 2, 6, 2)
    assert row.params_b == pytest.approx(0.002380512)
    assert row.seconds == pytest.approx(0.2)
    assert row.nfe == pytest.approx(1.5)
    assert row.mean.value == pytest.approx((5 / 8 + 1 / 4) / 2)
    assert {task: estimate.value for task, estimate in row.tasks.items()} == {
        "colors": 5 / 8,
        "position": 1 / 4,
    }
    assert (row.delta, row.p_value) == (None, None)


def test_intervals_stand_around_their_values_and_inside_0_to_1(store: Store) -> None:
    (row,) = rows([store("base")])
    # Two prompts of position score 0 and 1/2: a resample's mean is 0, 1/4 or 1/2, with odds 1 : 2 : 1.
    assert row.tasks["position"] == Estimate(0.25, 0.0, 0.5)
    # Four of colors score 1, 1/2, 1 and 0: resamples of 1/8 or less have the odds 5/256, of 1/4 or less 19/256.
    assert row.tasks["colors"] == Estimate(5 / 8, 0.25, 1.0)
    assert row.mean.low is not None
    assert row.mean.high is not None
    assert 0 < row.mean.low < row.mean.value < row.mean.high < 1


def test_where_all_prompts_score_alike_the_interval_has_no_width(store: Store) -> None:
    alike: Scores = {"colors": [[1, 0]] * 3, "position": [[1, 1]] * 2}
    (row,) = rows([store("base", alike)])
    assert row.mean == Estimate(0.75, 0.75, 0.75)


def test_a_task_of_one_prompt_has_no_interval(store: Store) -> None:
    (row,) = rows([store("base", {"colors": [[1, 0]], "position": [[1, 1], [0, 0]]})])
    assert row.tasks["colors"] == Estimate(0.5, None, None)
    assert row.mean == Estimate(0.5, None, None)


def test_difference_to_base_is_paired(store: Store) -> None:
    runs = [store("base"), store("reno", BETTER, method="reno")]
    base, reno = rows(runs)
    assert base.delta is None
    assert reno.delta is not None
    assert reno.delta.value == pytest.approx((3 / 8 + 1 / 4) / 2)
    # A constant difference has no spread, however much the prompts differ.
    constant = {task: [[value + 1 for value in images] for images in of] for task, of in BASE.items()}
    (_, row) = rows([runs[0], store("best", constant, method="best-of-n")])
    assert row.delta == Estimate(1.0, 1.0, 1.0)


def test_p_values_are_exact_and_corrected_together(store: Store) -> None:
    base = store("base")
    better = store("reno", BETTER, method="reno")
    # Three prompts change, all upwards: 2 of the 2³ sign flips are as far from 0.
    (_, alone) = rows([base, better])
    assert alone.p_value == pytest.approx(2 / 8)
    # A second method in which nothing changes has p = 1; the smaller one is doubled (Holm).
    same = store("best", method="best-of-n")
    (_, corrected, unchanged) = rows([base, better, same])
    assert (corrected.p_value, unchanged.p_value) == (pytest.approx(2 * 2 / 8), 1.0)


def test_without_base_there_are_no_differences(store: Store) -> None:
    reno, best = rows([store("reno", BETTER, method="reno"), store("best", method="best-of-n")])
    assert reno.delta is best.delta is reno.p_value is best.p_value is None


def test_runs_on_other_samples_are_never_subtracted(store: Store) -> None:
    other = store("reno", method="reno", first_seed=2)
    with pytest.raises(ValueError, match="the same"):
        rows([store("base"), other])


def test_unfinished_runs_are_left_out(store: Store, tmp_path: Path) -> None:
    store("base")
    store("half", method="reno", pieces=5)
    (tmp_path / "runs" / "not-a-run").mkdir()
    assert [run.name for run in stored_runs(tmp_path)] == ["base"]


def test_no_results_are_no_runs(tmp_path: Path) -> None:
    assert stored_runs(tmp_path / "none") == []


def test_a_damaged_run_is_told(store: Store, tmp_path: Path) -> None:
    store("base")
    path = store("reno", method="reno").store.folder / "records" / "00003.jsonl"
    path.write_text(path.read_text().replace("1.0", "0.0").replace('"score": 0.0', '"score": 1.0'))
    with pytest.raises(HnError, match=r"records/00003\.jsonl, line 1, is damaged"):
        stored_runs(tmp_path)


def test_the_newest_run_of_each_method_counts(store: Store, tmp_path: Path) -> None:
    store("base-new", started="2026-01-03T00:00:00Z")
    store("base-old", started="2026-01-01T00:00:00Z")
    store("reno-old", method="reno", started="2025-12-31T23:59:59Z")
    store("reno-new", method="reno", started="2026-01-02T00:00:00Z", preset="other")
    store("best", method="best-of-n", started="2026-01-01T12:00:00Z")
    runs = stored_runs(tmp_path)
    assert [run.name for run in runs] == ["base-new", "reno-new", "best", "base-old", "reno-old"]
    assert [run.name for run in comparable(runs, runs[0])] == ["base-new", "best", "reno-new"]
    old = next(run for run in runs if run.name == "reno-old")
    assert [run.name for run in comparable(runs, old)] == ["base-new", "best", "reno-old"]


def test_runs_that_were_just_made_are_shown_whatever_else_is_stored(store: Store) -> None:
    base, plain = store("base"), store("plain", method="reno")
    made = store("made", method="reno", preset="paper, changed", started="2025-01-01T00:00:00Z")
    assert comparable([base, plain, made], base) == [base, plain]
    assert comparable([base, plain, made], base, made) == [base, made]


def test_methods_stand_in_the_paper_s_order_and_others_behind(store: Store) -> None:
    shuffled = ["zebra", "reno", "best-of-n", "hypernoise", "base", "aardvark"]
    runs = [store(name, method=name) for name in shuffled]
    order = [run.name for run in comparable(runs, runs[0])]
    assert order == ["base", "hypernoise", "best-of-n", "reno", "aardvark", "zebra"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model", "shapes-large"),
        ("benchmark", "t2i-compbench"),
        ("suite", "coco"),
        ("prompts_sha256", "fedcba9876543210"),
        ("first_seed", 4),
        ("steps", 2),
        ("rewards", {"redness": 1.0}),
        ("batch", 20),
        ("device", "cuda"),
        ("weights", {"transformer": "0000"}),
        ("versions", {"torch": "2.15.0"}),
    ],
)
def test_runs_that_differ_in_more_than_the_method_do_not_mix(store: Store, setting: str, value: Any) -> None:
    base, other = store("base"), store("reno", method="reno", **{setting: value})
    assert comparable([base, other], base) == [base]
    assert comparable([base, other], other) == [other]


def test_method_and_its_settings_may_differ(store: Store) -> None:
    base = store("base")
    reno = store("reno", method="reno", preset="paper, changed", method_settings={"iterations": 3})
    assert comparable([reno, base], base) == [base, reno]


def test_a_run_is_found_by_its_name_or_is_the_newest_of_its_beginning(store: Store, tmp_path: Path) -> None:
    store("shapes-base-1", started="2026-01-02T00:00:00Z")
    store("shapes-base-12", started="2026-01-03T00:00:00Z")
    store("shapes-reno-3", started="2026-01-01T00:00:00Z")
    assert find_run(tmp_path, "shapes-reno").name == "shapes-reno-3"
    assert find_run(tmp_path, "shapes-base-1").name == "shapes-base-1"
    assert find_run(tmp_path, "shapes").name == "shapes-base-12"
    with pytest.raises(HnError, match="no finished run's name begins with 'sd'"):
        find_run(tmp_path, "sd")


def test_a_method_is_not_taken_for_a_newer_one_whose_name_begins_so(store: Store, tmp_path: Path) -> None:
    store("shapes-hypernoise-geneval-shapes-1", method="hypernoise", started="2026-01-01T00:00:00Z")
    both = {"method": "hypernoise-best-of-n", "benchmark": "geneval-as-published"}
    store("shapes-hypernoise-best-of-n-geneval-as-published-shapes-2", started="2026-01-02T00:00:00Z", **both)
    for name, number in [
        ("shapes-hypernoise", "1"),
        ("shapes-hypernoise-", "2"),
        ("shapes-hypernoise-best", "2"),
        ("shapes-hypernoise-geneval", "1"),
        ("shapes", "2"),
    ]:
        assert find_run(tmp_path, name).name.endswith(number)


def test_notes_name_all_that_a_reader_must_know(store: Store) -> None:
    changed: dict[str, Any] = {
        "preset": "paper, changed",
        "method_settings": {"iterations": 3, "learning_rate": 0.5},
    }
    rewards: dict[str, Any] = {"rewards": {"shapes-match": 1.0, "redness": 0.25}}
    runs = [store("base", **rewards), store("reno", BETTER, failed=2, method="reno", **changed, **rewards)]
    said = notes(runs)
    assert said[0] == "6 prompts × 2 seeds, suite shapes, prompt set 01234567."
    assert "at batch 40" in said[1]
    assert "A Processor, 2 threads, cpu." in said[1]
    # Colors' prompts differ by 0, 1/2, 0 and 1, position's by 0 and 1/2; each task's error is s / √n.
    errors = (
        sum((d - 3 / 8) ** 2 for d in (0, 0.5, 0, 1)) / 3 / 4,
        sum((d - 1 / 4) ** 2 for d in (0, 0.5)) / 2,
    )
    normal = NormalDist()
    smallest = (normal.inv_cdf(0.975) + normal.inv_cdf(0.8)) * sum(errors) ** 0.5 / 2
    assert f"reno against base: smallest detectable difference {smallest:.3f} (80% power)." in said
    assert "reno: preset paper, changed (iterations 3, learning_rate 0.5)." in said
    assert "reno: 2 images failed and count as wrong." in said
    assert said[-1] == "Reward: redness × 0.25, shapes-match × 1."
    assert not any(note.startswith("base:") for note in said)


def test_notes_count_rewards_that_are_not_finite(store: Store) -> None:
    run = store("base", {"colors": [[1, 0]]})
    records = [record | {"rewards": {"clip": 0.5, "redness": None}} for record in run.store.records()]
    run.store.write_piece(0, records, run.store.costs())
    assert "base: 2 images have no finite value of the reward redness." in notes([StoredRun(run.store)])
    assert not any("no finite value" in note for note in notes([store("other")]))


def test_notes_count_what_a_language_model_cost_and_its_failures(store: Store) -> None:
    run = store("po", {"colors": [[1, 0]], "position": [[1, 0]]}, method="prompt-optimization")
    records, costs = run.store.records(), run.store.costs()
    for number, (record, cost) in enumerate(zip(records, costs, strict=True)):
        failures = ["round 2: timeout: no answer within 1 s", "round 9: refusal: no"][: number % 3]
        record |= {"llm_calls": 10, "llm_tokens": 100 * number, "method_details": {"failures": failures}}
        cost["llm_seconds"] = 1.0 + number
    for piece in range(2):
        rows = slice(2 * piece, 2 * piece + 2)
        run.store.write_piece(piece, records[rows], costs[rows])
    said = notes([StoredRun(run.store)])
    assert (
        "prompt-optimization: 10.0 calls of a language model, 150 tokens and 2.5 of the seconds an image; its "
        "weights are not among the parameters."
    ) in said
    assert (
        "prompt-optimization: 3 rounds of rewriting failed (2 × timeout, 1 × refusal); their samples keep the best "
        "before."
    ) in said
    assert not any("language model" in note or "rewriting" in note for note in notes([store("base")]))


def test_the_written_table_is_that_of_the_newest_comparable_runs(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store("base", started="2026-01-03T00:00:00Z")
    store("reno", BETTER, method="reno")
    store("alien", method="best-of-n", steps=2)
    write_table(1, "shapes", tmp_path)
    written = read_csv(tmp_path / "shapes" / "table1.csv")
    assert [(row.method, row.mean.value) for row in written] == [("base", 7 / 16), ("reno", 0.75)]
    folder = tmp_path / "shapes"
    assert "+0.31" in (folder / "table1.md").read_text()
    assert r"\begin{tabular}" in (folder / "table1.tex").read_text()
    assert "6 prompts × 2 seeds" in capsys.readouterr().out


def test_a_table_without_runs_names_the_command_that_makes_one(store: Store, tmp_path: Path) -> None:
    store("base")
    with pytest.raises(
        HnError, match=r"no finished run of 'sd-turbo' .* `hn bench geneval --model sd-turbo`"
    ):
        write_table(1, "sd-turbo", tmp_path)
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(HnError, match="no finished run of 'shapes'"):
        write_table(1, "shapes", tmp_path)
    assert list(tmp_path.iterdir()) == []


def times_in(said: Sequence[str]) -> list[list[str]]:
    """Methods, and whose times they have, of notes that say so."""
    found = (re.match(r"Times of (.+): (measured by `hn time`|the runs' own)", note) for note in said)
    return [list(match.groups()) for match in found if match]


def test_a_run_s_time_is_that_of_hn_time_where_settings_and_machine_are_the_same(
    hn: Callable[..., list[str]], results: Path
) -> None:
    words = ["--batches", "4,8", "--rounds", 1, "--device", "cpu", "--results", results]
    hn("time", "--method", "base", *words)
    path = results / "shapes" / "timing.csv"
    timing = pd.read_csv(path)
    timing["seconds"] = [0.125, 0.5]  # of batches 4 and 8
    timing.to_csv(path, index=False)
    base, other = (find_run(results, f"shapes-{method}") for method in ("base", "best-of-n"))
    own = float(np.median([cost["seconds"] for cost in other.store.costs()]))
    assert [row.seconds for row in rows([base, other])] == [0.125, own]
    assert times_in(notes([base, other])) == [
        ["base", "measured by `hn time`"],
        ["best-of-n", "the runs' own"],
    ]
    assert times_in(notes([base, other], own_clocks=True)) == [["base, best-of-n", "the runs' own"]]
    for column, value in [
        ("threads", 99),
        ("steps", 3),
        ("method_settings_sha256", "0"),
        ("rewards", "hps=1"),
        ("memory", "tiling"),
        ("networks", "compiled"),
    ]:
        timing.assign(**{column: value}).to_csv(path, index=False)
        assert rows([find_run(results, "shapes-base")])[0].seconds != 0.125
    for absent in ("processor", "method_settings_sha256"):
        timing.drop(columns=absent).to_csv(path, index=False)
        run = find_run(results, "shapes-base")
        assert rows([run])[0].seconds != 0.125
        assert times_in(notes([run])) == [["base", "the runs' own"]]


def test_times_of_changed_settings_are_found(hn: Callable[..., list[str]], results: Path) -> None:
    words = ["--batches", "4", "--rounds", 1, "--device", "cpu", "--results", results]
    hn("time", "--method", "base", "--method", "best-of-n", "--set", "best-of-n.n=2", *words)
    assert find_run(results, "shapes-best-of-n").timed
    hn("time", "--method", "base", "--method", "best-of-n", "--set", "best-of-n.n=3", *words)
    assert find_run(results, "shapes-best-of-n").timed is None


def test_adapters_of_different_rank_have_times_of_their_own(store: Store, tmp_path: Path) -> None:
    adapters = [
        {"adapter": "", "lora_rank": rank, "adapter_model.safetensors": f"{rank}"} for rank in (4, 8, 16)
    ]
    timed = [
        Timed("base", "paper", {}, 40, (0.25,), 1, None),
        Timed("hypernoise", "paper", adapters[0], 40, (0.5,), 2, None),
        Timed("hypernoise", "paper", adapters[1], 40, (0.75,), 2, None),
    ]
    timing = Timing(
        "shapes", 1, SETTINGS["rewards"], timed, MACHINE | {"memory": "ample", "networks": "eager"}
    )
    publish_timing(timing, tmp_path, Console(quiet=True))
    runs = [
        store(
            str(given["lora_rank"]), method="hypernoise", method_settings=given, tiling=False, compiled=False
        )
        for given in adapters
    ]
    assert [run.timed for run in runs] == [0.5, 0.75, None]
