"""The catalogue against the published files, and what is read from files, servers and the embedded world."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hypernoise.errors import HnError
from hypernoise.prompts.sets import (
    CATALOGUE,
    PromptSet,
    draw_distinct,
    load,
    parquet_captions,
    shapes_captions,
)
from hypernoise.remote_files import RemoteFile
from hypernoise.shapes.suite import may_train
from hypernoise.shapes.training.data import random_caption

if TYPE_CHECKING:
    from conftest import Website

SHARED = Path(__file__).parents[2] / "../shared"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A cache folder with the published files, as their downloads would leave it."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip("the published prompt files are not beside this checkout")
    prompts = tmp_path / "prompts"
    for name, source in (("t2i-compbench-train", "t2i_compbench"), ("abc-6k", "train_prompts")):
        (prompts / name).mkdir(parents=True)
        for file in CATALOGUE[name].files:
            shutil.copyfile(data / source / file.name, prompts / name / file.name)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        (
            "t2i-compbench-train",
            "a green bench and a red car",
            "two candles, a cow, four balloons, and three fish created a relaxing atmosphere",
        ),
        (
            "abc-6k",
            "A room with blue walls and a white sink and door.",
            "Two guys are sitting down at a table and one is holding a red napkin on his lap and a person in "
            "yellow is taking a picture of a plate of food .",
        ),
    ],
)
def test_published_files(published: Path, name: str, first: str, last: str) -> None:
    prompts = load(name, published)
    assert (prompts[0], prompts[-1]) == (first, last)
    assert len(prompts) == len(set(prompts)) == CATALOGUE[name].count
    assert all(prompt == prompt.strip() != "" for prompt in prompts)


def test_every_file_comes_by_https_and_from_a_commit() -> None:
    files = [file for each in CATALOGUE.values() for file in each.files]
    assert len({file.url for file in files}) == 7 + 1 + 2
    for file in files:
        assert re.fullmatch(r"https://[\w./-]+/[0-9a-f]{40}/[\w./-]+\.(txt|parquet)", file.url)
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert [file.name for file in files if file.sha256 is None] == [
        "train-00000-of-00002-c261d1ef2a61d087.parquet"
    ]


def test_every_set_says_what_it_is() -> None:
    for name, each in CATALOGUE.items():
        assert each.name == name
        assert each.description.endswith(".")
        assert each.license
        assert bool(each.files) != bool(each.draw)


def test_listing_the_catalogue_imports_nothing_heavy() -> None:
    code = "import sys, hypernoise.prompts.sets; print(sorted({'torch', 'pandas', 'numpy'} & sys.modules.keys()))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout == "[]\n"


def served(website: Website, *contents: bytes) -> PromptSet:
    """A set of text files that a server gives."""
    files = [RemoteFile(website.put(f"/{i}.txt", content), None) for i, content in enumerate(contents)]
    return PromptSet("served", "For tests.", "MIT", None, tuple(files))


def test_files_are_joined_in_their_order_without_repetitions(website: Website, tmp_path: Path) -> None:
    first = "\ufeffa cup\r\n\r\n  a caf\u00e9 \r\na cup".encode()
    prompts = served(website, first, b"\na dog\na cup\n \t\nA cup\n").prompts(tmp_path)
    assert prompts == ["a cup", "a caf\u00e9", "a dog", "A cup"]
    assert sorted(each.name for each in (tmp_path / "prompts" / "served").iterdir()) == [
        "0.txt",
        "0.txt.sha256",
        "1.txt",
        "1.txt.sha256",
    ]


def test_an_interrupted_set_goes_on_where_it_was(website: Website, tmp_path: Path) -> None:
    both = served(website, b"a cup", b"a dog")
    page = website.pages.pop("/1.txt")
    with pytest.raises(HnError, match="404"):
        both.prompts(tmp_path)
    website.pages["/1.txt"] = page
    assert both.prompts(tmp_path) == ["a cup", "a dog"]
    assert website.asked == ["/0.txt", "/1.txt", "/1.txt"]


@pytest.mark.parametrize("content", [b"", b"\r\n \n", "caf\u00e9".encode("latin-1")])
def test_a_download_without_prompts(website: Website, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(HnError, match=r"/0\.txt gave no prompts that can be read, so nothing was kept"):
        served(website, content).prompts(tmp_path)
    assert not (tmp_path / "prompts").exists()


def test_a_package_that_is_missing(website: Website, tmp_path: Path) -> None:
    files = (RemoteFile(website.put("/a.parquet", b"never asked for"), None),)
    needy = PromptSet("needy", "For tests.", "MIT", None, files, needs="no_such_package")
    with pytest.raises(
        HnError, match=r"'needy' are read with no_such_package, .+ pip install no_such_package"
    ):
        needy.prompts(tmp_path)
    assert website.asked == []


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_pick_a_pic_asks_for_pyarrow_before_it_downloads(tmp_path: Path) -> None:
    with pytest.raises(HnError, match="pip install pyarrow"):
        load("pick-a-pic-v2", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_captions_are_read_from_parquet(website: Website, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="only Pick-a-Pic needs pyarrow")
    import pandas as pd  # noqa: PLC0415

    def parquet(**columns: list[str | None]) -> bytes:
        buffer = io.BytesIO()
        pd.DataFrame(columns).to_parquet(buffer, engine="pyarrow")
        return buffer.getvalue()

    content = parquet(caption=["a cup", None, "a dog ", "a cup", " "], url=["never", "r", "e", "a", "d"])
    url = website.put("/a.parquet", content)
    pick = PromptSet(
        "pick", "For tests.", "MIT", None, (RemoteFile(url, None),), parquet_captions, needs="pyarrow"
    )
    assert pick.prompts(tmp_path) == ["a cup", "a dog"]
    for i, bad in enumerate((b"<html>", content[:-9], parquet(text=["a cup"]), b"")):
        website.put("/a.parquet", bad)
        with pytest.raises(HnError, match="gave no prompts that can be read"):
            pick.prompts(tmp_path / str(i))


def test_shapes_captions_are_drawn_from_the_seed() -> None:
    captions = load("shapes-train")
    assert len(set(captions)) == len(captions) == CATALOGUE["shapes-train"].count == 1000
    assert captions[:300] == shapes_captions(300, seed=0)
    assert captions[:300] != shapes_captions(300, seed=1)
    rng = np.random.default_rng(0)
    described = {}
    while len(described) < 1000:
        description, frame = random_caption(rng)
        described[description.text(frame)] = (description, frame)
    assert list(described) == captions
    assert all(may_train(*each) for each in described.values())


def test_there_are_not_endless_captions() -> None:
    assert draw_distinct(cycle(["a cup", "a dog", "a cup", "a hat"]).__next__, 3) == [
        "a cup",
        "a dog",
        "a hat",
    ]
    with pytest.raises(HnError, match=r"no 4 different captions, only about 3; ask for at most that many\.$"):
        draw_distinct(cycle(["a cup", "a dog", "a hat"]).__next__, 4)


def test_a_text_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "abc-6k"
    path.write_bytes("a cup\r\na caf\u00e9\n\na cup\rthe end".encode())
    assert load(path) == load(str(path)) == ["a cup", "a caf\u00e9", "the end"]


def test_a_name_without_a_folder_is_the_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shapes-train").write_text("a cup")
    assert len(load("shapes-train")) == 1000
    assert load("./shapes-train") == load(Path("shapes-train")) == ["a cup"]


def test_a_name_that_nothing_has(tmp_path: Path) -> None:
    with pytest.raises(
        HnError, match=r"^There is no prompt set or file called 'abc6k': did you mean 'abc-6k'\?$"
    ):
        load("abc6k", tmp_path)
    with pytest.raises(HnError, match=r"/none\.txt': choose one of: t2i-compbench-train, abc-6k, "):
        load(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no prompts; write one a line."),
        (b" \n\r\n", "holds no prompts; write one a line."),
        (b"\xff\xfe\x00", "is not text in UTF-8; give a text file with one prompt a line."),
    ],
)
def test_a_file_without_prompts(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "own.txt"
    path.write_bytes(content)
    with pytest.raises(HnError) as refused:
        load(path)
    assert str(refused.value) == f"{path} {sentence}"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(HnError, match=r"cannot be read \(Is a directory\); give a text file"):
        load(tmp_path)
