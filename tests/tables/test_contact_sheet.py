"""The contact sheet as a reader sees it: a real PNG, looked at pixel by pixel."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from hypernoise.errors import HnError
from hypernoise.experiments.store import RunStore
from hypernoise.tables.contact_sheet import contact_sheet
from hypernoise.tables.from_runs import StoredRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GREEN, RED, WHITE = (20, 120, 50), (180, 30, 30), (255, 255, 255)
TILE, LEFT, TOP, ACROSS, DOWN = 128, 230, 26, 142, 181
TASKS = ("colors", "colors", "position")
SEEDS = (4, 5)


def picture(method: str, prompt: int, seed: int) -> np.ndarray:
    key = [len(method), prompt, seed]
    return np.random.default_rng(key).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def is_right(method: str, prompt: int, seed: int) -> bool:
    return (len(method) + prompt + seed) % 2 == 0


@pytest.fixture
def runs(tmp_path: Path) -> list[StoredRun]:
    """Two methods, three prompts and two seeds; every image is another."""
    made = []
    for method in ("base", "hypernoise!"):
        store = RunStore(tmp_path / "runs" / method)
        settings = {"method": method, "model": "shapes"}
        store.write_manifest({"run": method, "settings": settings, "started": "2026-01-01T00:00:00Z"})
        records = []
        for prompt, seed in product(range(3), SEEDS):
            right = is_right(method, prompt, seed)
            records.append(
                {
                    "prompt_index": prompt,
                    "seed": seed,
                    "prompt": f"a photo of prompt number {prompt}",
                    "task": TASKS[prompt],
                    "score": float(right),
                    "reason": "" if right else "expected star>=1, found 0",
                    "image_sha256": store.write_image(prompt, seed, picture(method, prompt, seed)),
                }
            )
        keys = [{name: record[name] for name in ("prompt_index", "seed")} for record in records]
        store.write_piece(0, records, keys)
        made.append(StoredRun(store))
    return made


def drawn(runs: list[StoredRun], seed: int, rows: int, path: Path) -> np.ndarray:
    contact_sheet(runs, seed, rows, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_image_lies_at_its_place_framed_by_its_verdict(
    runs: list[StoredRun], tmp_path: Path, seed: int
) -> None:
    sheet = drawn(runs, seed, 3, tmp_path / "sheet.png")
    assert sheet.shape == (TOP + 3 * DOWN, LEFT + 2 * ACROSS, 3)
    for (column, run), prompt in product(enumerate(runs), range(3)):
        method = run.settings["method"]
        x, y = LEFT + column * ACROSS, TOP + prompt * DOWN
        tile = sheet[y : y + TILE, x : x + TILE]
        assert np.array_equal(tile, picture(method, prompt, seed).repeat(4, axis=0).repeat(4, axis=1))
        framed = sheet[y - 2 : y + TILE + 2, x - 2 : x + TILE + 2].copy()
        framed[2:-2, 2:-2] = framed[0, 0]
        color = GREEN if is_right(method, prompt, seed) else RED
        assert (framed == color).all()
        below = sheet[y + TILE + 3 : y + TILE + 16, x : x + TILE]
        assert (below == color).all(axis=2).any()


def test_the_reason_is_written_and_the_prompt_and_the_method(runs: list[StoredRun], tmp_path: Path) -> None:
    sheet = drawn(runs, 4, 3, tmp_path / "sheet.png")
    inked = (sheet != WHITE).any(axis=2)
    assert inked[:TOP, LEFT : LEFT + TILE].any()
    for prompt in range(3):
        assert inked[TOP + prompt * DOWN :, :LEFT][:TILE].any()
    wrong = next(prompt for prompt in range(3) if not is_right("base", prompt, 4))
    right = next(prompt for prompt in range(3) if is_right("base", prompt, 4))
    written = [inked[TOP + p * DOWN + TILE + 3 :, LEFT : LEFT + TILE][:13].sum() for p in (wrong, right)]
    assert written[0] > 2 * written[1]


def test_fewer_rows_are_spread_over_the_tasks(runs: list[StoredRun], tmp_path: Path) -> None:
    sheet = drawn(runs[:1], 4, 2, tmp_path / "sheet.png")
    assert sheet.shape[0] == TOP + 2 * DOWN
    for row, prompt in enumerate((0, 2)):
        y = TOP + row * DOWN
        tile = sheet[y : y + TILE : 4, LEFT : LEFT + TILE : 4]
        assert np.array_equal(tile, picture("base", prompt, 4))


def test_large_images_are_made_smaller(runs: list[StoredRun], tmp_path: Path) -> None:
    (run, _), store = runs, runs[0].store
    gray = np.full((1024, 1024, 3), 77, dtype=np.uint8)
    record = run.records[0] | {"image_sha256": store.write_image(0, 4, gray)}
    key = {name: record[name] for name in ("prompt_index", "seed")}
    store.write_piece(0, [record], [key])
    sheet = drawn([StoredRun(store)], 4, 1, tmp_path / "sheet.png")
    assert (sheet[TOP : TOP + TILE, LEFT : LEFT + TILE] == 77).all()


def test_an_image_that_was_not_scored_is_not_shown(runs: list[StoredRun], tmp_path: Path) -> None:
    runs[1].store.write_image(1, 4, picture("other", 1, 4))
    with pytest.raises(HnError, match=r"00001/00004\.png has changed since it was scored"):
        contact_sheet(runs, 4, 3, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_a_full_disk_leaves_the_old_sheet(
    runs: list[StoredRun], tmp_path: Path, fill_the_disk_for: Callable[[Path], None]
) -> None:
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")
    fill_the_disk_for(path)
    with pytest.raises(HnError, match=r"^The disk is full: "):
        contact_sheet(runs, 4, 3, path)
    assert path.read_bytes() == b"old"
