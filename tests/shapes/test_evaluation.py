"""`hn shapes evaluate`: what it measures, on few scenes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import beta

from hypernoise.shapes.captions import NEGATIVES
from hypernoise.shapes.evaluation import command, generator
from hypernoise.shapes.evaluation.curves import curves
from hypernoise.shapes.evaluation.generator import head_room
from hypernoise.shapes.evaluation.measured import share
from hypernoise.shapes.evaluation.rewards import agreement
from hypernoise.shapes.evaluation.scenes import near_miss
from hypernoise.shapes.evaluation.suite import Drawn, Suite
from hypernoise.shapes.suite import SIZES, may_train
from hypernoise.shapes.vocabulary import FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch

    from hypernoise.generators.protocol import Encoded
    from hypernoise.generators.shapes import ShapesGenerator


@pytest.fixture(scope="module")
def suite(generator: ShapesGenerator) -> Suite:
    return Suite(generator)


@pytest.fixture
def measured(hn: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pd.DataFrame:
    monkeypatch.setattr(command, "CANDIDATES", 2)
    monkeypatch.setattr(generator, "SEEDS", 1)
    log = tmp_path / "shapes" / "training" / "student.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text('{"step": 50, "loss": 2.0}\n{"step": 100, "loss": 1.0}\n')
    hn("shapes", "evaluate", "--scenes", 6, "--results", tmp_path)
    assert (tmp_path / "shapes" / "training.png").read_bytes().startswith(b"\x89PNG")
    with Image.open(tmp_path / "shapes" / "failures.png") as picture:
        assert picture.width > 600
    return pd.read_csv(tmp_path / "shapes" / "parts.csv").set_index(["part", "what", "condition"])


def test_the_names_of_curves_cover_none(tmp_path: Path) -> None:
    """Also where curves fill their panels; and a name has one color, whatever else is drawn beside it."""
    logs = [tmp_path / f"{part}.jsonl" for part in "abcde"]
    for number, log in enumerate(logs):
        others = (
            {"critic": -1.0, "held_out/shapes-match": 2.0} if number % 2 else {"held_out/shapes-match": 0.5}
        )
        rows = [{"step": step, "loss": float(step % 2)} | others for step in range(50)]
        log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    figure = curves(logs)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    colors = {
        text.get_text(): line.get_color()
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }
    assert list(colors) == ["loss", "held_out/shapes-match", "critic"]
    for axes in figure.axes[: len(logs)]:
        assert not axes.get_tightbbox().overlaps(legend.get_window_extent())
        assert axes.get_legend() is None
        named = {line.get_ydata()[0]: line.get_color() for line in axes.lines}
        expected = {0.0: "loss", -1.0: "critic", 2.0: "held_out/shapes-match", 0.5: "held_out/shapes-match"}
        assert named == {first: colors[expected[first]] for first in named}


def test_every_part_is_measured(measured: pd.DataFrame) -> None:
    assert ((measured["low"] <= measured["value"]) & (measured["value"] <= measured["high"])).all()
    assert set(measured.loc["judge: exactly right"].index.get_level_values("what")) == set(SIZES)
    assert set(measured.loc["generator"].index.get_level_values("condition")) == {
        "1 step",
        "1 step, 2 noises",
        "2 steps",
        "4 steps",
    }
    tasks = measured.xs("1 step", level="condition").loc["generator", "value"]
    assert tasks["overall"] == pytest.approx(tasks[list(SIZES)].mean(), abs=1e-4)
    for reward in ("shapes-clip", "shapes-match"):
        generated = measured.loc[reward].xs("generated", level="condition")
        assert set(generated.index) == {"all kinds", *NEGATIVES}
        kinds = generated.loc[list(NEGATIVES)]
        mean = np.average(kinds["value"], weights=kinds["images"])
        assert generated.loc["all kinds", "value"] == pytest.approx(mean, abs=1e-3)
        assert generated.loc["all kinds", "images"] == kinds["images"].sum()
        assert "overall" in measured.loc[reward].xs("agreement with the judge", level="condition").index


def test_suite_images_are_those_of_the_benchmark(suite: Suite) -> None:
    first, again = suite.draw(3), suite.draw(3, candidate=0)
    assert (first.images == again.images).all()
    assert (suite.draw(3, candidate=1).images != first.images).any()
    assert (suite.draw(3, steps=2).images != first.images).any()
    verdicts = [judged.score for judged in suite.judge(first.images, suite.prompts)]
    assert first.right.tolist() == [verdict == 1 for verdict in verdicts]


def test_head_room_is_what_any_candidate_reaches(suite: Suite) -> None:
    blank = np.zeros((300, 32, 32, 3), dtype=np.uint8)
    first, second = np.zeros(300, dtype=bool), np.zeros(300, dtype=bool)
    first[0], second[1:8] = True, True  # the eight prompts of the first of six tasks
    rows = {
        (row.what, row.condition): row
        for row in head_room(suite, [Drawn(blank, first), Drawn(blank, second)])
    }
    assert rows["single_object", "best of 2 by the judge"].value == 1
    assert rows["overall", "best of 2 by the judge"].value == pytest.approx(1 / 6)
    assert rows["overall", "best of 2 by the judge, above base"].value == pytest.approx(7 / 8 / 6)


class Brightness:
    """A reward that prefers bright images."""

    name = "brightness"

    def encode(self, prompts: Sequence[str]) -> None:
        """Nothing depends on the prompt."""

    def score(self, images: torch.Tensor, _: Encoded) -> torch.Tensor:
        return images.mean((1, 2, 3))


def test_agreement_counts_pairs_of_one_prompt(suite: Suite) -> None:
    def flat(brightness: int, right: bool) -> Drawn:
        return Drawn(np.full((300, 32, 32, 3), brightness, dtype=np.uint8), np.full(300, right))

    candidates = [flat(10, True), flat(20, False), flat(30, True), flat(40, True)]
    rows = agreement(Brightness(), suite, candidates)  # type: ignore[arg-type]
    assert {row.what for row in rows} == {"overall", *SIZES}
    assert [row.value for row in rows] == pytest.approx([2 / 3] * len(rows))


def test_the_interval_of_a_share_covers_it_as_often_as_it_says() -> None:
    row = share("part", "what", "condition", [True] * 45 + [False] * 5)
    assert row.value == 0.9
    exact = beta.ppf([0.025, 0.975], [45, 46], [6, 5])  # Clopper and Pearson's, a little wider
    assert exact[0] < row.low < 0.9 < row.high < exact[1]
    assert share("part", "what", "condition", [True] * 20).high == 1


@pytest.mark.parametrize("kind", NEGATIVES)
def test_near_misses_of_the_evaluation_are_new_where_colors_are_bound(kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        description, wrong = near_miss(rng, kind)
        assert wrong.text() != description.text()
        if sum(phrase.color is not None for phrase in description.phrases) > 1:
            assert not any(may_train(description, frame) for frame in FRAMES)
