"""The paper's numbers as kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks.geneval.benchmark import GenEval
from hypernoise.errors import HnError
from hypernoise.tables.reference import paper_rows

if TYPE_CHECKING:
    from pathlib import Path

TASKS = tuple(GenEval.report.columns)
SCORES = ["mean", *TASKS]
# Half a unit of the mean's last printed digit, and as much for the six rounded tasks that it comes from.
ROUNDING = 0.005 + 0.005 + 1e-9


def test_table1_has_every_printed_row() -> None:
    frame = paper_rows(1)
    assert len(frame) == 19
    assert not frame.duplicated(["model", "method"]).any()
    assert frame["method"].value_counts().to_dict() == {
        "base": 9,
        "hypernoise": 3,
        "reno": 3,
        "best-of-n": 2,
        "prompt-optimization": 2,
    }


def test_scores_are_fractions_and_complete() -> None:
    scores = paper_rows(1)[SCORES]
    assert scores.dtypes.eq("float64").all()
    assert ((scores >= 0) & (scores <= 1)).all(axis=None)


def test_only_sd3_medium_prints_a_mean_that_its_tasks_do_not_have() -> None:
    frame = paper_rows(1)
    off = (frame["mean"] - frame[list(TASKS)].mean(axis="columns")).abs() > ROUNDING
    assert frame.loc[off, "model"].tolist() == ["sd3-medium"]
    assert "0.743" in frame.loc[off, "footnote"].item()


@pytest.mark.parametrize(
    ("model", "method", "column", "value"),
    [
        ("sd3-medium", "base", "mean", 0.70),
        ("sd-turbo", "hypernoise", "mean", 0.57),
        ("sd-turbo", "hypernoise", "params_b", 1.1),
        ("sana", "hypernoise", "position", 0.51),
        ("sana", "reno", "seconds", 30.0),
        ("sana", "prompt-optimization", "counting", 0.82),
        ("flux", "hypernoise", "mean", 0.72),
        ("flux", "base", "steps", 4),
        ("sdxl", "base", "color_attr", 0.23),
    ],
)
def test_spot_values(model: str, method: str, column: str, value: float) -> None:
    frame = paper_rows(1)
    assert frame.loc[(frame["model"] == model) & (frame["method"] == method), column].tolist() == [value]


def test_footnotes_stand_where_they_belong() -> None:
    frame = paper_rows(1)
    noted = frame[frame["footnote"] != ""]
    assert set(zip(noted["model"], noted["method"], strict=True)) == {
        ("sd3-medium", "base"),
        ("sd-turbo", "prompt-optimization"),
        ("sana", "prompt-optimization"),
        ("flux", "hypernoise"),
    }


def test_steps_are_unknown_for_models_that_the_paper_prints_none_for() -> None:
    frame = paper_rows(1)
    assert set(frame.loc[frame["steps"].isna(), "model"]) == {
        "sd-v2.1",
        "sdxl",
        "dpo-sdxl",
        "hyper-sdxl",
        "flux-dev",
        "sd3-medium",
    }


def test_a_table_without_numbers_is_refused() -> None:
    with pytest.raises(HnError, match=r"Table 99 .* table1\.csv"):
        paper_rows(99)


def test_another_folder_of_the_same_name_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results" / "reference").mkdir(parents=True)
    (tmp_path / "results" / "reference" / "own.csv").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("results", "results.reference"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert len(paper_rows(1)) == 19
