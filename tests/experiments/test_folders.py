"""`hn export` and `hn score`: a run's images go out in published layouts, come back, and get the same scores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from hypernoise.experiments.benchmark import Prompt
from hypernoise.experiments.layout import ImageFile, inspect, joined, parted, read
from hypernoise.tables.from_runs import find_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Hn = Callable[..., list[str]]
    Refusal = Callable[..., str]

CASE = Prompt(0, "a dog", "task", {})


def picture(value: int, height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def scored(results: Path, name: str) -> list[dict[str, Any]]:
    lines = (results / "scored" / name / "records.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_four_images_become_a_grid_row_by_row_and_come_apart_again() -> None:
    images = [picture(value) for value in (1, 2, 3, 4)]
    grid = joined(images)
    assert grid.shape == (8, 12, 3)
    assert [grid[0, 0, 0], grid[0, 11, 0], grid[7, 0, 0], grid[7, 11, 0]] == [1, 2, 3, 4]
    assert all(np.array_equal(a, b) for a, b in zip(parted(grid, 4), images, strict=True))
    with pytest.raises(ValueError, match="odd size"):
        parted(picture(0, 3, 4), 4)
    with pytest.raises(ValueError, match="one image or four"):
        ImageFile("a.png", CASE, (0, 1))


def test_what_is_wrong_with_a_folder_is_found(tmp_path: Path) -> None:
    files = [ImageFile(f"s/{n}.png", CASE, (n,)) for n in range(6)]
    (tmp_path / "s").mkdir()
    for n in (0, 1, 3, 4, 9):
        Image.fromarray(picture(n)).save(tmp_path / "s" / f"{n}.png")
    Image.fromarray(picture(2, 8, 8)).save(tmp_path / "s" / "2.png")
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "s" / "3.png")
    truncated = (tmp_path / "s" / "3.png").read_bytes()
    (tmp_path / "s" / "3.png").write_bytes(truncated[: len(truncated) // 2])
    (tmp_path / "s" / "4.png").write_text("not an image")
    Image.fromarray(picture(0)).save(tmp_path / "grid.png")  # beside, as GenEval's own script leaves one
    found = inspect(tmp_path, files)
    assert found.bad.keys() == {f"s/{n}.png" for n in (2, 3, 4, 5)}
    assert found.bad["s/2.png"] == "8×8 pixels instead of 6×4"
    assert found.bad["s/3.png"].startswith("unreadable (")
    assert found.bad["s/4.png"].startswith("unreadable (")
    assert found.bad["s/5.png"] == "missing"
    assert found.unexpected == ["s/9.png"]


def test_geneval_s_layout_goes_out_and_comes_back(hn: Hn, results: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    hn("export", "shapes-base", "--output", out, "--results", results)
    run = find_run(results, "shapes-base")
    for record in run.records:
        file = ImageFile(f"{record['prompt_index']:05d}/samples/{record['seed']:05d}.png", CASE, (0,))
        assert np.array_equal(read(out, file)[0], run.store.read_image(record))
        metadata = (out / f"{record['prompt_index']:05d}" / "metadata.jsonl").read_text()
        assert json.loads(metadata)["prompt"] == record["prompt"]
    lines = hn(
        "score", "geneval", "--suite", "shapes", "--images", out, "--seeds", 2, "--allow-missing",
        "--device", "cpu", "--batch", 3, "--results", results,
    )  # fmt: skip
    names = ("prompt_index", "seed", "prompt", "task", "score", "reason", "details")
    expected = [{name: record[name] for name in names} for record in run.records]
    assert scored(results, "images-geneval-shapes") == expected
    assert "590 of 600 images were missing or unreadable and are left out." in " ".join(lines)


def test_of_a_run_with_a_damaged_image_nothing_is_exported(
    refusal: Refusal, results: Path, tmp_path: Path
) -> None:
    run = find_run(results, "shapes-base")
    last = run.records[-1]
    run.store.image_path(last["prompt_index"], last["seed"]).write_bytes(b"damaged")
    before = set(tmp_path.iterdir())
    said = refusal("export", "shapes-base", "--output", tmp_path / "images", "--results", results)
    assert "is missing or cannot be read; delete " in said
    assert set(tmp_path.iterdir()) == before


def test_a_folder_that_is_not_whole_is_refused(
    hn: Hn, refusal: Refusal, results: Path, tmp_path: Path
) -> None:
    out = tmp_path / "images"
    hn("export", "shapes-base", "--output", out, "--results", results)
    options = ("--suite", "shapes", "--images", out, "--device", "cpu", "--results", results)
    said = refusal("score", "geneval", *options, "--seeds", 2)
    assert said.startswith("590 of 600 images cannot be scored (")
    assert ": missing;" in said
    assert said.endswith("and 580 more); make them again, or leave them out with --allow-missing.")
    said = refusal("score", "geneval", *options, "--seeds", 1, "--allow-missing")
    assert "images that no prompt asks for" in said
    metadata = next(out.glob("*/metadata.jsonl"))
    metadata.write_text(metadata.read_text().replace("a photo of", "a detailed photo of"))
    assert "its images were made for another prompt" in refusal("score", "geneval", *options, "--seeds", 2)
    (tmp_path / "empty").mkdir()
    nothing = ("--images", tmp_path / "empty", "--suite", "shapes", "--results", results)
    assert "holds no image of this layout" in refusal("score", "geneval", *nothing, "--allow-missing")
    nowhere = ("--images", tmp_path / "nowhere", "--suite", "shapes")
    assert refusal("score", "geneval", *nowhere).startswith("There is no folder ")
    assert not (results / "scored").exists()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("dpg-bench", "scene0.png"),
        ("t2i-compbench", None),
    ],
)
def test_other_layouts_go_out_and_come_back(
    name: str, path: str | None, hn: Hn, refusal: Refusal, tmp_path: Path
) -> None:
    results, out = tmp_path / "results", tmp_path / "images"
    bench = ("--seeds", 4, "--limit", 4, "--device", "cpu", "--results", results)
    hn("bench", name, *bench)
    hn("export", "shapes-base", "--output", out, "--results", results, "--layout", name)
    run = find_run(results, "shapes-base")
    if path:
        with Image.open(out / path) as grid:
            assert grid.size == (64, 64)
    else:
        first = run.records[0]
        assert (out / "color" / "samples" / f"{first['prompt']}_000000.png").exists()
    said = refusal("export", "shapes-base", "--output", out, "--results", results)
    assert said == f"{out} exists already; give a new folder with --output."
    elsewhere = ("--output", tmp_path / "new", "--results", results, "--layout", "geneval")
    assert "are not those of geneval" in refusal("export", "shapes-base", *elsewhere)
    options = ("--suite", "shapes", "--images", out, "--device", "cpu", "--results", results)
    if path:
        hn("score", name, *options, "--allow-missing")
        found = {(r["prompt_index"], r["seed"]): r["score"] for r in scored(results, f"images-{name}-shapes")}
        assert found == {(r["prompt_index"], r["seed"]): r["score"] for r in run.records}
        assert "one image a prompt or four, not 3" in refusal("score", name, *options, "--seeds", 3)
