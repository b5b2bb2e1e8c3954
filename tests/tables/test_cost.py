"""Score against cost: the front, who wins on it, and the figure's words, on runs whose scores are known."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from hypernoise.experiments import statistics
from hypernoise.experiments.store import RunStore
from hypernoise.tables import budgets, cost, winners
from hypernoise.tables.cost import Comparison, Point, contenders, front
from hypernoise.tables.cost_figure import figure
from hypernoise.tables.from_runs import StoredRun
from hypernoise.tables.labels import Label, dots, place
from hypernoise.tables.render import MEASURED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROMPTS = 12
SETTINGS: dict[str, Any] = {
    "model": "shapes",
    "preset": "paper",
    "method_settings": {},
    "benchmark": "geneval",
    "suite": "shapes",
    "prompts": PROMPTS,
    "prompts_sha256": "0123456789abcdef",
    "first_seed": 0,
    "seeds": 1,
    "steps": 1,
    "rewards": {"shapes-match": 1.0},
    "batch": 40,
}
MACHINE = {"processor": "A Processor", "threads": 2, "device": "cpu"}


@pytest.fixture
def point(tmp_path: Path) -> Callable[..., Point]:
    """A run in which the first `right` of twelve prompts are right; the same `images` are the same pictures."""

    def make(
        method: str,
        budget: int | None,
        right: int,
        nfe: int,
        seconds: float,
        images: str = "",
        failed: int = 0,
    ) -> Point:
        store = RunStore(tmp_path / "runs" / f"{method}-{budget}")
        settings = SETTINGS | {"method": method}
        store.write_manifest(
            {"run": "", "settings": settings, "parameters": 1, "machine": MACHINE, "started": ""}
        )
        keys = [{"prompt_index": index, "seed": 0} for index in range(PROMPTS)]
        records = [
            key
            | {"task": "colors", "score": float(index < right), "nfe": nfe}
            | {"reason": "failed: it is not finite" if index < failed else ""}
            | {"image_sha256": f"{images or method}-{budget if not images else ''}-{index}"}
            for index, key in enumerate(keys)
        ]
        store.write_piece(0, records, [key | {"seconds": seconds} for key in keys])
        return Point(method, budget, StoredRun(store))

    return make


@pytest.fixture
def points(point: Callable[..., Point]) -> list[Point]:
    return [
        point("base", None, 4, 1, 0.10, "x0"),
        point("best-of-n", 1, 4, 1, 0.09, "x0"),  # faster than base by a hair, but the same images
        point("best-of-n", 4, 8, 4, 0.40),
        point("best-of-n", 9, 7, 9, 0.90),
        point("hypernoise", None, 6, 2, 0.20),
        point("reno", 4, 5, 4, 0.80),
        point("reno", 16, 12, 16, 3.20),
    ]


def test_the_front_holds_what_no_cheaper_one_reaches(points: list[Point]) -> None:
    for kind in ("nfe", "seconds"):
        assert [each.name for each in front(points, kind)] == [
            "base",
            "hypernoise",
            "best-of-n, 4",
            "reno, 16",
        ]
    assert front(points[1:], "nfe")[0].name == "best-of-n, 1"


def test_of_one_cost_the_better_is_on_the_front_and_a_tie_is_the_cheaper_ones(
    point: Callable[..., Point],
) -> None:
    pair = [point("a", None, 5, 2, 1.0), point("b", None, 6, 2, 1.0)]
    assert [each.name for each in front(pair, "nfe")] == ["b"]
    tied = [point("c", None, 5, 4, 0.1), point("d", None, 5, 2, 0.2)]
    assert [each.name for each in front(tied, "nfe")] == ["d"]
    assert [each.name for each in front(tied, "seconds")] == ["c"]


def test_the_same_images_compete_once_under_the_name_without_a_budget(points: list[Point]) -> None:
    names = [each.name for each in contenders([*points[1:], points[0]])]
    assert "base" in names
    assert "best-of-n, 1" not in names
    assert len(names) == len(points) - 1


def test_a_win_is_against_the_best_of_another_method_until_the_next(points: list[Point]) -> None:
    found = [
        (win.best.name, win.other and win.other.name, win.difference and win.difference.value)
        for win in winners.wins(Comparison(points), "nfe")
    ]
    assert found == [
        ("base", None, None),
        ("hypernoise", "base", pytest.approx(2 / 12)),
        ("best-of-n, 4", "hypernoise", pytest.approx(2 / 12)),
        ("reno, 16", "best-of-n, 4", pytest.approx(4 / 12)),
    ]


def test_the_table_of_winners_tells_apart_what_the_interval_does(points: list[Point]) -> None:
    report = points[0].run.benchmark.report
    by_seconds, by_nfe = winners.sheet(Comparison(points), MEASURED, report).sections
    assert "seconds" in by_seconds.heading
    assert "NFE" in by_nfe.heading
    assert [[cell.text for cell in line] for line in by_nfe.lines][:2] == [
        ["1", "base", "0.333", "–", "–", "–", "–"],
        ["2", "hypernoise", "0.500", "base", "0.333", "+0.167", "1"],
    ]
    last = by_nfe.lines[-1]
    # Four of twelve prompts gain, none loses: 2/16 of all flips are as extreme, times six lines for Holm's first.
    assert float(last[-1].text) == pytest.approx(6 * 2 / 16)
    assert last[1].bold
    assert last[5].interval.startswith("[+0.083")
    assert not by_nfe.lines[1][1].bold


def test_the_csv_says_what_is_drawn(points: list[Point]) -> None:
    table = budgets.frame(Comparison(points)).set_index("method")
    assert table["budget"].isna().sum() == 2
    assert list(table["on_front_nfe"]) == list(table["on_front_seconds"])
    assert list(table.index[table["on_front_nfe"]]) == ["base", "best-of-n", "hypernoise", "reno"]
    assert table.loc["hypernoise", "above_base"] == pytest.approx(2 / 12)
    assert (table["images"] == PROMPTS).all()


def test_fronts_and_differences_are_computed_once(
    points: list[Point], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()

    def counted(of: Any, name: str) -> None:
        honest = getattr(of, name)
        monkeypatch.setattr(of, name, lambda *given: calls.update([name]) or honest(*given))

    counted(cost, "front")
    counted(statistics, "paired_difference")
    compared = Comparison(points)
    budgets.publish_budgets(compared, tmp_path, Console(quiet=True))
    lines = [win for kind in cost.COSTS for win in winners.wins(compared, kind) if win.other]
    assert calls == {"front": len(cost.COSTS), "paired_difference": len(points) + len(lines)}


def test_failures_of_every_budget_are_told(points: list[Point], point: Callable[..., Point]) -> None:
    failing = [point("best-of-n", 2, 5, 2, 0.25, failed=3), *points[2:3]]
    said = budgets.sheet(Comparison([points[0], *failing]), MEASURED, points[0].run.benchmark.report).notes
    assert "best-of-n, 2: 3 images failed and count as wrong." in said


def test_the_figure_is_drawn_with_every_color(points: list[Point]) -> None:
    with Image.open(io.BytesIO(figure(Comparison(points), points[0].run.benchmark.report))) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        assert image.width > 1.5 * image.height
    found = {tuple(int(part) for part in color) for color in np.unique(pixels, axis=0)}
    assert {(255, 255, 255), (0, 0x72, 0xB2), (0xD5, 0x5E, 0), (0, 0x9E, 0x73)} <= found


def test_words_overlap_neither_each_other_nor_the_line_and_stay_inside() -> None:
    picture = Figure(figsize=(6, 4))
    axes = picture.subplots()
    axes.set(xlim=(0, 10), ylim=(0, 10))
    # One name for a corner and six for two places that lie on each other, all on a line across the axes.
    spots = [(9.9, 9.9), *[(5.0, 5.0), (5.1, 5.1)] * 3]
    labels = [Label(f"method number {number}", "black", [spot]) for number, spot in enumerate(spots)]
    picture.draw_without_rendering()
    drawn = dots(axes, [0, 10], [0, 10])
    boxes = [text.get_window_extent() for text in place(axes, labels, drawn)]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
        if number:  # in the corner there is no room beside the line
            assert not ((drawn > box.min) & (drawn < box.max)).all(axis=1).any()
        assert axes.bbox.contains(*box.min)
        assert axes.bbox.contains(*box.max)
