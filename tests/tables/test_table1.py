"""Our rows and their CSV."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hypernoise.errors import HnError
from hypernoise.tables.table1 import Estimate, Row, read_csv, to_frame, write_csv

if TYPE_CHECKING:
    from pathlib import Path

# Fixed by the programs that read the file: written out, so that a change of the constants shows.
HEADER = (
    "model,method,steps,params_b,seconds,nfe,mean,mean_low,mean_high,delta,delta_low,delta_high,"
    "single_object,two_object,counting,colors,position,color_attr,"
    "single_object_low,single_object_high,two_object_low,two_object_high,counting_low,counting_high,"
    "colors_low,colors_high,position_low,position_high,color_attr_low,color_attr_high,"
    "prompts,seeds,p_value"
)
TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
BASE = Row(
    model="shapes",
    method="base",
    steps=1,
    params_b=0.0015,
    seconds=0.1 + 0.2,
    nfe=1,
    mean=Estimate(1 / 3, 0.3, 0.37),
    delta=None,
    tasks={task: Estimate(0.1 * i, 0.1 * i - 0.05, 0.1 * i + 0.07) for i, task in enumerate(TASKS, 1)},
    prompts=553,
    seeds=4,
    p_value=None,
)
OURS = replace(BASE, method="hypernoise", nfe=2, delta=Estimate(0.03, 0.01, 0.05), p_value=0.0125)
SPARSE = replace(
    OURS,
    model="NA",
    steps=None,
    params_b=None,
    seconds=None,
    nfe=None,
    mean=Estimate(0.5),
    tasks={"colors": Estimate(0.8)},
)


def test_csv_returns_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table1.csv"
    write_csv([BASE, OURS, SPARSE], path, TASKS)
    assert read_csv(path) == (BASE, OURS, SPARSE)


def test_csv_has_the_fixed_columns(tmp_path: Path) -> None:
    path = tmp_path / "table1.csv"
    write_csv([OURS], path, TASKS)
    header, line = path.read_text(encoding="utf-8").splitlines()
    assert header == HEADER
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    assert cells["two_object_high"] == "0.27"
    assert [cells[name] for name in ("steps", "prompts", "seeds")] == ["1", "553", "4"]
    assert to_frame([], TASKS).columns.tolist() == HEADER.split(",")


def test_an_empty_table_can_be_read_again(tmp_path: Path) -> None:
    write_csv([], tmp_path / "table1.csv", TASKS)
    assert read_csv(tmp_path / "table1.csv") == ()


def test_interrupted_write_leaves_the_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table1.csv"
    write_csv([BASE], path, TASKS)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_csv([BASE, OURS], path, TASKS)
    assert read_csv(path) == (BASE,)
    assert [file.name for file in tmp_path.iterdir()] == ["table1.csv"]


def test_content_is_on_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table1.csv"
    calls = []
    fsync, rename = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        calls.append(("fsync", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def spy_rename(source: Path, target: Path) -> None:
        calls.append(("replace", source.stat().st_size))
        assert source.parent == target.parent
        rename(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_rename)
    write_csv([BASE], path, TASKS)
    size = path.stat().st_size
    assert calls[:2] == [("fsync", size), ("replace", size)]


def test_a_task_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="colours"):
        to_frame([replace(BASE, tasks={"colours": Estimate(0.5)})], TASKS)


def test_a_row_without_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="shapes with base has no mean"):
        replace(BASE, mean=Estimate(float("nan")))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "columns"),
        ("model,method\nshapes,base\n", "columns"),
        (HEADER + "\nshapes,base,1,much,,,0.5" + "," * 24 + "553,4,\n", "much"),
        (HEADER + "\nshapes,base" + "," * (HEADER.count(",") - 3) + "553,4,\n", "no mean"),
        (HEADER + "\nshapes,base,1\n", "too few"),
        (HEADER + "\n" + "1," * 40 + "\n", "too many"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "table1.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(HnError, match=reason):
        read_csv(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HnError, match=r"nowhere\.csv"):
        read_csv(tmp_path / "nowhere.csv")
