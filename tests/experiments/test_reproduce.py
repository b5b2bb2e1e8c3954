"""`hn reproduce`: the tables exist from one command, and the paper's numbers stand beside ours, labelled."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hypernoise.experiments import reproduce
from hypernoise.experiments.reproduce import CLAIMS, STEPS
from hypernoise.noise.settings import PRESETS
from hypernoise.registry import find
from hypernoise.tables.reference import paper_rows
from hypernoise.tables.table1 import read_csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Hn = Callable[..., list[str]]

METHODS = ["base", "lora-finetune", "hypernoise"]


def test_list_names_everything(hn: Hn) -> None:
    assert [line.split("\t")[0] for line in hn("reproduce", "--list")] == list(CLAIMS)
    assert hn("reproduce") == hn("reproduce", "--list")


def test_an_unknown_name_is_refused(refusal: Callable[..., str]) -> None:
    assert "did you mean 'table8'" in refusal("reproduce", "tabel8")


def test_a_method_s_setting_may_be_changed(hn: Hn, tmp_path: Path, refusal: Callable[..., str]) -> None:
    words = ["--limit", 2, "--seeds", 1, "--batch", 2, "--device", "cpu", "--results", tmp_path]
    adapter = find("model", "shapes").adapters["hypernoise"]
    hn("reproduce", "figure8", *words, "--set", f"hypernoise.adapter={adapter}")
    (run,) = (tmp_path / "runs").glob("shapes-hypernoise-*")
    assert (
        json.loads((run / "manifest.json").read_text())["settings"]["method_settings"]["adapter"] == adapter
    )
    said = refusal("reproduce", "figure8", *words, "--set", "reno.iterations=3")
    assert "changes 'reno', which is not among the methods asked for" in said


@pytest.mark.parametrize(("number", "steps"), [(5, [1, 2, 4]), (6, [1, 2, 4]), (7, [1])])
def test_other_benchmarks_tables_have_both_methods_at_every_number_of_steps(
    hn: Hn, tmp_path: Path, number: int, steps: list[int]
) -> None:
    words = ["--limit", 4, "--seeds", 2, "--batch", 4, "--device", "cpu", "--results", tmp_path]
    hn("reproduce", f"table{number}", *words)
    found = read_csv(tmp_path / "shapes" / f"table{number}.csv")
    assert [(row.steps, row.method) for row in found] == [
        (each, method) for each in steps for method in ("base", "hypernoise")
    ]
    assert [row.delta is None for row in found] == [True, False] * len(steps)
    text = (tmp_path / "shapes" / f"table{number}.md").read_text()
    assert ("At 4 steps: hypernoise against base: smallest detectable" in text) == (4 in steps)


def test_table_8_has_every_method_at_every_number_of_steps(hn: Hn, tmp_path: Path) -> None:
    words = ["--limit", 2, "--seeds", 1, "--batch", 2, "--device", "cpu", "--results", tmp_path]
    hn("reproduce", "table8", *words)
    folder = tmp_path / "shapes"
    frame = pd.read_csv(folder / "table8.csv")
    assert list(zip(frame["steps"], frame["method"], strict=True)) == [
        (steps, method) for steps in STEPS for method in METHODS
    ]
    extra = (frame["method"] == "hypernoise").astype(int)
    assert (frame["nfe"] == frame["steps"] + extra).all()
    assert frame.loc[frame["method"] == "base", "above_base"].isna().all()
    text = (folder / "table8.md").read_text()
    assert "a laboratory, not the paper's models" in text
    ours, paper = text.split("### Paper (reference, not measured here)")
    assert "*0.77*" in paper
    assert "*0.77*" not in ours
    assert (folder / "table8.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("number", "method", "more"), [(9, "hypernoise", 1), (10, "lora-finetune", 0)])
def test_tables_9_and_10_train_and_measure_every_rank(
    number: int, method: str, more: int, hn: Hn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for presets in PRESETS.values():
        monkeypatch.setitem(presets, "shapes-ranks", replace(presets["shapes-ranks"], batch=2, epochs=0.004))
    monkeypatch.setattr(reproduce, "RANKS", (8, 16))
    monkeypatch.setattr(reproduce, "RANK_STEPS", (1, 2))
    words = ["--limit", 2, "--seeds", 1, "--batch", 2, "--device", "cpu", "--results", tmp_path]
    hn("reproduce", f"table{number}", *words)
    frame = pd.read_csv(tmp_path / "shapes" / f"table{number}.csv")
    expected = [("base", 0), (method, 8), (method, 16)]
    found = zip(frame["method"], frame["lora_rank"].fillna(0), strict=True)
    assert list(found) == expected * 2
    assert (frame["nfe"] == frame["steps"] + more * (frame["method"] == method)).all()
    for rank in (8, 16):
        facts = json.loads(
            (tmp_path / "adapters" / f"shapes-rank-{rank}" / method / "training.json").read_text()
        )
        assert facts["settings"]["rank"] == facts["settings"]["alpha"] == rank
    ours, paper = (
        (tmp_path / "shapes" / f"table{number}.md").read_text().split("### Paper (reference, not measured")
    )
    assert f"| {method} | 16 |" in ours
    assert "| *64* |" in paper
    assert (tmp_path / "shapes" / f"table{number}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("number", "methods"), [(5, 2), (6, 3), (8, 2)])
def test_figures_of_images_show_methods_side_by_side(
    number: int, methods: int, hn: Hn, tmp_path: Path
) -> None:
    words = ["--limit", 3, "--seeds", 1, "--batch", 3, "--device", "cpu", "--results", tmp_path]
    hn("reproduce", f"figure{number}", *words)
    sheet = np.asarray(Image.open(tmp_path / "shapes" / f"figure{number}.png"))
    assert sheet.shape == (26 + 3 * 181, 230 + methods * 142, 3)
    tiles = [sheet[26:154, 230 + 142 * column : 358 + 142 * column] for column in range(methods)]
    assert not any((tile == tiles[0]).all() for tile in tiles[1:])


def test_the_papers_table_8_is_as_printed() -> None:
    paper = paper_rows(8).set_index(["method", "steps"])
    assert len(paper) == 15
    assert paper.loc[("hypernoise", 4), ["nfe", "mean"]].tolist() == [5, 0.77]
    assert paper.loc[("lora-finetune", 4), "mean"] == 0.62
    assert (paper["nfe"] - paper.index.get_level_values("steps")).loc["hypernoise"].eq(1).all()


def test_figure_4_follows_both_trainings_from_the_same_base(
    hn: Hn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for presets in PRESETS.values():
        short = replace(presets["shapes-redness"], rank=4, batch=4, epochs=0.025, evaluate_every=3)
        monkeypatch.setitem(presets, "shapes-redness", short)
    hn("reproduce", "figure4", "--device", "cpu", "--results", tmp_path)
    frame = pd.read_csv(tmp_path / "shapes" / "figure4.csv")
    assert frame["training"].unique().tolist() == ["HyperNoise", "LoRA fine-tuning"]
    assert frame["step"].tolist() == [0, 3, 6, 7] * 2
    bases = frame[frame["step"] == 0]
    assert bases["redness"].nunique() == bases["shapes-match"].nunique() == 1
    assert (frame[frame["training"] == "LoRA fine-tuning"]["delta_norm"] == 0).all()
    assert (frame[frame["training"] == "HyperNoise"]["delta_norm"].iloc[1:] > 0).all()
    assert (tmp_path / "shapes" / "figure4.png").read_bytes().startswith(b"\x89PNG")
    strip = np.asarray(Image.open(tmp_path / "shapes" / "figure3.png"))
    assert strip.shape == (7 * 32 * 3, 170 + 12 * 32 * 3, 3)
