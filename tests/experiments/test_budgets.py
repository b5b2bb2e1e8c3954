"""`hn budgets`: stored runs of growing budgets, their CSV and their figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Hn = Callable[..., list[str]]

COMMON = ["budgets", "geneval", "--limit", 12, "--seeds", 2]


@pytest.fixture
def folder(hn: Hn, tmp_path: Path) -> Path:
    methods = ["--method", "best-of-n", "--method", "reno:shapes", "--set", "reno.learning_rate=0.5"]
    hn(*COMMON, *methods, "--budget", "4,1", "--results", tmp_path)
    return tmp_path


def test_every_budget_is_measured_and_drawn(folder: Path) -> None:
    rows = pd.read_csv(folder / "shapes" / "budgets.csv")
    assert list(zip(rows["method"], rows["budget"], strict=True)) == [
        ("base", 1),
        ("best-of-n", 1),
        ("best-of-n", 4),
        ("reno:shapes", 1),
        ("reno:shapes", 4),
    ]
    assert list(rows["nfe"]) == [1, 1, 4, 1, 4]
    assert (rows["images"] == 24).all()
    assert (rows["seconds"] > 0).all()
    assert ((rows["low"] <= rows["mean"]) & (rows["mean"] <= rows["high"])).all()
    one_image = rows[rows["budget"] == 1]
    assert one_image["mean"].nunique() == 1  # whatever the method, one image is base's
    assert (one_image["above_base"] == 0).all()
    assert rows["above_base"].to_numpy() == pytest.approx(
        (rows["mean"] - rows["mean"][0]).to_numpy(), abs=2e-5
    )
    with Image.open(folder / "shapes" / "budgets.png") as figure:
        assert len(figure.convert("RGB").resize((96, 60)).getcolors(96 * 60)) > 20


def test_the_same_command_computes_nothing_again(
    hn: Hn, folder: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    before = contents(folder / "runs")
    assert len({name.partition("/")[0] for name in before}) == 5
    hn(*COMMON, "--method", "best-of-n", "--budget", "1,4", "--results", folder)
    assert contents(folder / "runs") == before
    rows = pd.read_csv(folder / "shapes" / "budgets.csv")
    assert set(rows["method"]) == {"base", "best-of-n"}


def test_a_task_of_one_prompt_has_no_interval(hn: Hn, tmp_path: Path) -> None:
    words = ["--limit", 6, "--seeds", 1, "--method", "best-of-n", "--budget", "2", "--results", tmp_path]
    said = hn("budgets", "geneval", *words)
    rows = pd.read_csv(tmp_path / "shapes" / "budgets.csv")
    assert rows["low"].isna().all()
    assert not any("nan" in line for line in said)


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
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    refusal: Callable[..., str], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    assert sentence in refusal("budgets", "geneval", *arguments, "--results", tmp_path / "results")
    assert not (tmp_path / "results").exists()
