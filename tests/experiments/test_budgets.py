"""`hn budgets`: stored runs of growing budgets, their CSV and their figure."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Hn = Callable[..., list[str]]

COMMON = ["budgets", "geneval", "--limit", 12, "--seeds", 2]


METHODS = ["--method", "best-of-n", "--method", "hypernoise", "--method", "hypernoise-best-of-n"]
RENO = ["--method", "reno:shapes", "--set", "reno.learning_rate=0.5"]


@pytest.fixture
def folder(hn: Hn, tmp_path: Path) -> Path:
    hn(*COMMON, *METHODS, *RENO, "--budget", "4,1", "--results", tmp_path)
    return tmp_path


def test_every_budget_is_measured_and_drawn(folder: Path) -> None:
    rows = pd.read_csv(folder / "shapes" / "budgets-geneval.csv")
    assert list(zip(rows["method"], rows["budget"].fillna(0), rows["nfe"], strict=True)) == [
        ("base", 0, 1),
        ("best-of-n", 1, 1),
        ("best-of-n", 4, 4),
        ("hypernoise", 0, 2),
        ("hypernoise-best-of-n", 1, 2),
        ("hypernoise-best-of-n", 4, 8),
        ("reno:shapes", 1, 1),
        ("reno:shapes", 4, 4),
    ]
    assert (rows["images"] == 24).all()
    assert (rows["seconds"] > 0).all()
    assert ((rows["low"] <= rows["mean"]) & (rows["mean"] <= rows["high"])).all()
    means = rows.set_index(["method", "budget"])["mean"]
    alone = rows[rows["budget"].isna()].set_index("method")["mean"]
    for method, same in (
        ("best-of-n", "base"),
        ("reno:shapes", "base"),
        ("hypernoise-best-of-n", "hypernoise"),
    ):
        assert means[method, 1] == alone[same]
    assert rows["above_base"].to_numpy() == pytest.approx(
        (rows["mean"] - rows["mean"][0]).to_numpy(), abs=2e-5
    )
    for kind in ("nfe", "seconds"):
        on_front = rows[rows[f"on_front_{kind}"]].sort_values(kind)
        assert on_front["mean"].is_monotonic_increasing
        assert on_front["mean"].max() == rows["mean"].max()
        assert not set(on_front["method"][on_front["budget"] == 1])
    with Image.open(folder / "shapes" / "budgets-geneval.png") as figure:
        assert len(figure.convert("RGB").resize((96, 60)).getcolors(96 * 60)) > 20
    text = (folder / "shapes" / "budgets-geneval.md").read_text()
    assert "Which method wins at which budget" in text
    assert text.count("a laboratory, not the paper's models") == 3


def test_the_same_command_computes_nothing_again(
    hn: Hn, folder: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    before = contents(folder / "runs")
    assert len({name.partition("/")[0] for name in before}) == 8
    hn(*COMMON, "--method", "base", "--method", "best-of-n", "--budget", "1,4", "--results", folder)
    assert contents(folder / "runs") == before
    rows = pd.read_csv(folder / "shapes" / "budgets-geneval.csv")
    assert list(rows["method"]) == ["base", "best-of-n", "best-of-n"]


def test_every_benchmark_has_its_own_files_in_its_own_unit(hn: Hn, tmp_path: Path) -> None:
    words = ["--limit", 4, "--seeds", 1, "--method", "hypernoise", "--budget", "1", "--results", tmp_path]
    said = hn("budgets", "dpg-bench", *words)
    assert {path.name for path in (tmp_path / "shapes").iterdir()} == {
        f"budgets-dpg-bench{suffix}" for suffix in (".csv", ".md", ".png")
    }
    scores = pd.read_csv(tmp_path / "shapes" / "budgets-dpg-bench.csv")["mean"]
    assert scores.max() <= 1
    assert any(f"{100 * scores[0]:.2f}" in line for line in said)


def test_a_task_of_one_prompt_has_no_interval(hn: Hn, tmp_path: Path) -> None:
    words = ["--limit", 6, "--seeds", 1, "--method", "best-of-n", "--budget", "2", "--results", tmp_path]
    said = hn("budgets", "geneval", *words)
    rows = pd.read_csv(tmp_path / "shapes" / "budgets-geneval.csv")
    assert rows["low"].isna().all()
    assert not any("nan" in line for line in said)


def test_workers_are_asked_for_as_in_a_bench(
    refusal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["--method", "best-of-n", "--budget", "2", "--workers", 2, "--results", tmp_path]
    assert refusal("budgets", "geneval", *words).startswith("--workers needs Ray, which is not installed: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method", "best-of-n", "--budget", "1,zero"], "--budget is '1,zero' but must be whole numbers"),
        (["--method", "best-of-n", "--budget", "0"], "--budget is '0' but must be whole numbers from 1 on"),
        (
            ["--method", "bestofn", "--budget", "1"],
            "There is no method called 'bestofn': did you mean 'best-of-n'",
        ),
        (
            ["--method", "best-of-n", "--budget", "1", "--set", "reno.iterations=3"],
            "changes 'reno', which is not",
        ),
        (
            ["--method", "best-of-n", "--budget", "1", "--set", "best-of-n.n=3"],
            "--budget sets best-of-n.n, so --set best-of-n.n=3 has no place beside it.",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    refusal: Callable[..., str], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    assert sentence in refusal("budgets", "geneval", *arguments, "--results", tmp_path / "results")
    assert not (tmp_path / "results").exists()
