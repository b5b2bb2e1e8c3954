"""The gallery's data from stored runs."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from known_runs import BOX, PROMPTS, RIGHT, SEEDS, TASKS, known_gain, store_run
from PIL import Image

from hypernoise.errors import HnError
from hypernoise.report.gallery import LARGEST, data_uri, facts, gain, gallery

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.tables.from_runs import StoredRun


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_row_is_a_prompt_and_a_seed_and_a_tile_a_method(runs: list[StoredRun]) -> None:
    data = gallery(runs)
    assert [column["method"] for column in data["columns"]] == list(RIGHT)
    assert [column["run"] for column in data["columns"]] == [run.name for run in runs]
    keys = [(row["prompt_index"], row["seed"], row["prompt"], row["task"]) for row in data["rows"]]
    assert keys == [(i, s, PROMPTS[i], TASKS[i]) for i in range(6) for s in range(SEEDS)]
    assert (data["tasks"], data["width"], data["height"]) == (list(TASKS), 8, 8)
    assert (data["remarks"], data["gains"]) == ([], True)


def test_a_tile_holds_what_the_judge_and_the_rewards_said(runs: list[StoredRun]) -> None:
    for row in gallery(runs)["rows"]:
        for method, tile in zip(RIGHT, row["tiles"], strict=True):
            index = row["prompt_index"]
            assert tile["right"] == (index in RIGHT[method]) == bool(tile["score"])
            assert tile["gain"] == pytest.approx(known_gain(method, index, row["seed"]))
            assert tile["reason"] == ("" if tile["right"] else f"expected {PROMPTS[index]}")
            assert [each["box"] for each in tile["detections"]] == [BOX] * (index % 2)


def test_small_images_are_shown_pixel_by_pixel(runs: list[StoredRun]) -> None:
    for row in gallery(runs)["rows"]:
        image = opened(row["tiles"][0]["image"])
        assert image.format == "PNG"
        assert (image.size, image.getextrema()) == ((8, 8), ((row["prompt_index"] * 40,) * 2,) * 3)


def test_large_images_become_thumbnails_and_the_page_says_so(tmp_path: Path) -> None:
    data = gallery([store_run(tmp_path, "base", side=300)])
    assert opened(data["rows"][0]["tiles"][0]["image"]).size == (LARGEST, LARGEST)
    assert data["remarks"] == [
        "Images are thumbnails of 256 pixels; the originals of 300 pixels lie in the runs."
    ]
    assert (data["width"], data["height"]) == (300, 300)


def test_a_thumbnail_keeps_the_shape() -> None:
    image = opened(data_uri(np.zeros((256, 1024, 3), np.uint8)))
    assert (image.size, image.format) == ((256, 64), "WEBP")


def test_above_the_limit_prompts_are_left_out_in_turns_and_the_page_says_so(runs: list[StoredRun]) -> None:
    whole = gallery(runs)
    limit = len(json.dumps(whole["rows"])) // 2
    data = gallery(runs, limit)
    assert 0 < len(json.dumps(data["rows"])) <= limit
    shown = len(data["rows"]) // SEEDS
    assert data["rows"] == whole["rows"][: shown * SEEDS]
    assert data["remarks"][0].startswith(f"Shows {shown} of 6 prompts, taken from the tasks in turn: ")


def test_without_rewards_rows_have_no_gain_and_the_page_says_so(tmp_path: Path) -> None:
    data = gallery([store_run(tmp_path, method, rewards=False) for method in ("base", "hypernoise")])
    assert not data["gains"]
    assert "cannot be ordered by reward gain" in data["remarks"][0]


def test_what_the_judge_tells_beside_detections_is_text() -> None:
    questions = {"is it red?": True, "is it round?": 0.123456}
    answers = [["whole", False]]
    details = {"detections": [{}], "questions": questions, "answers": answers, "near": 0.5, "seen": ["a"]}
    assert facts(details) == ["is it red?: yes", "is it round?: 0.123", "whole: no", "near: 0.5", "a"]


def test_without_base_there_is_no_gain(runs: list[StoredRun]) -> None:
    assert not gallery(runs[1:])["gains"]


@pytest.mark.parametrize(
    ("ours", "bases", "expected"),
    [
        ({"a": 2.0, "b": 1.0}, {"a": 1.0, "b": 3.0}, 2 * 1.0 - 0.5 * 2.0),
        ({"a": 2.0, "b": None}, {"a": 1.0, "b": 3.0}, None),
        ({"a": 2.0, "b": 1.0}, {"a": 1.0}, None),
    ],
)
def test_a_gain_is_weighted_and_known_only_where_all_rewards_are(
    ours: dict[str, float | None], bases: dict[str, float | None], expected: float | None
) -> None:
    assert gain({"rewards": ours}, {"rewards": bases}, {"a": 2.0, "b": 0.5}) == expected


def test_a_changed_image_is_named(runs: list[StoredRun]) -> None:
    path = runs[1].store.image_path(3, 1)
    Image.new("RGB", (8, 8), "red").save(path)
    with pytest.raises(HnError, match="has changed since it was scored"):
        gallery(runs)
