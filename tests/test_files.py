"""Files that appear whole or not at all, on a disk that is really full too."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hypernoise.errors import HnError
from hypernoise.files import new_folder, unwritable, write_atomically

Fill = Callable[[Path], None]


def test_writes_and_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    write_atomically(path, b"first")
    write_atomically(path, b"2nd")
    assert path.read_bytes() == b"2nd"
    assert os.listdir(path.parent) == ["file"]  # noqa: PTH208 - with what begins with a dot


def test_a_full_disk_leaves_the_old_content(tmp_path: Path, fill_the_disk_for: Fill) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    fill_the_disk_for(path)
    with pytest.raises(HnError, match=f"^The disk is full: {path} was not written; free some space"):
        write_atomically(path, b"new" * 100_000)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, fill_the_disk_for: Fill) -> None:
    fill_the_disk_for(tmp_path / "file")
    with pytest.raises(HnError, match="The disk is full"):
        write_atomically(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_after_a_full_disk_the_same_write_succeeds(tmp_path: Path, fill_the_disk_for: Fill) -> None:
    fill_the_disk_for(tmp_path / "file")
    with pytest.raises(HnError):
        write_atomically(tmp_path / "file", b"new")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder"
    with new_folder(path) as folder:
        write_atomically(folder / "file", b"new")
        assert not path.exists()
    assert [str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")] == [
        "deep",
        "deep/folder",
        "deep/folder/file",
    ]
    with pytest.raises(HnError, match=r"folder cannot be written \(.+\); check"), new_folder(path) as folder:
        write_atomically(folder / "file", b"newer")
    assert (path / "file").read_bytes() == b"new"
    assert [each.name for each in path.parent.iterdir()] == ["folder"]


def test_a_folder_that_meets_a_full_disk_does_not_appear(tmp_path: Path, fill_the_disk_for: Fill) -> None:
    def write() -> None:
        with new_folder(tmp_path / "folder") as folder:
            write_atomically(folder / "first", b"new")
            fill_the_disk_for(folder / "second")
            write_atomically(folder / "second", b"new")

    with pytest.raises(HnError, match="The disk is full"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"in the way")
    with pytest.raises(HnError, match=r"folder/file cannot be written \(.+\); check the folder"):
        write_atomically(tmp_path / "folder" / "file", b"new")
    assert (tmp_path / "folder").read_bytes() == b"in the way"


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(HnError, match="cannot be written"):
        write_atomically(tmp_path / "file", b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


def test_a_used_up_quota_counts_as_a_full_disk() -> None:
    error = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    assert str(unwritable(Path("file"), error)).startswith("The disk is full: file was not written")
