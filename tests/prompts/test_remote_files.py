"""Downloads from a real server: what is accepted, what is refused, and that nothing half-written stays."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hypernoise.errors import HnError
from hypernoise.remote_files import RemoteFile, cache_folder, fetch, kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Website

CONTENT = b"a red bench\n" * 200_000


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def text(content: bytes) -> str:
    """A parser that refuses what is empty or not ASCII."""
    if not content:
        raise ValueError("empty")
    return content.decode("ascii")


def refusal(file: RemoteFile, folder: Path) -> str:
    """The sentence with which `kept` refuses a file."""
    with pytest.raises(HnError) as refused:
        kept(file, folder, text)
    message = str(refused.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_downloads_once(website: Website, tmp_path: Path) -> None:
    file = RemoteFile(website.put("/bench.txt", CONTENT), checksum(CONTENT))
    folder = tmp_path / "new" / "folder"
    assert kept(file, folder, text) == CONTENT.decode()
    assert kept(file, folder, text) == CONTENT.decode()
    assert website.asked == ["/bench.txt"]
    assert [each.name for each in folder.iterdir()] == ["bench.txt"]
    assert (folder / "bench.txt").read_bytes() == CONTENT


def test_a_content_of_unknown_length(website: Website) -> None:
    url = website.put("/bench.txt", CONTENT)
    website.pages["/bench.txt"] = (200, {}, CONTENT)
    assert fetch(url) == CONTENT


def test_prints_nothing_where_there_is_no_terminal(
    website: Website, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(website.put("/bench.txt", CONTENT))
    assert capsys.readouterr() == ("", "")


def test_a_wrong_checksum(website: Website, tmp_path: Path) -> None:
    file = RemoteFile(website.put("/bench.txt", CONTENT), checksum(b"other"))
    message = refusal(file, tmp_path / "cache")
    assert message.startswith(f"{file.url} gave another file than it should (sha256 {checksum(CONTENT)} ")
    assert "try again, or give your own prompts" in message
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("published", [True, False])
def test_a_truncated_download(website: Website, tmp_path: Path, published: bool) -> None:
    url = website.put("/bench.txt", CONTENT[:-7], Content_Length=str(len(CONTENT)))
    message = refusal(RemoteFile(url, checksum(CONTENT) if published else None), tmp_path / "cache")
    assert message.startswith(f"{url} cannot be downloaded (the connection broke off); check the connection")
    assert not (tmp_path / "cache").exists()


def test_a_truncated_download_of_unknown_length(website: Website, tmp_path: Path) -> None:
    url = website.put("/bench.txt", b"")
    website.pages["/bench.txt"] = (200, {}, CONTENT[:-7])
    assert "gave another file" in refusal(RemoteFile(url, checksum(CONTENT)), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_file_that_is_not_there(website: Website, tmp_path: Path) -> None:
    message = refusal(RemoteFile(f"{website.address}/gone.txt", None), tmp_path)
    assert "/gone.txt cannot be downloaded (the server answers 404 Not Found); " in message
    assert message.endswith(f"or save the file from elsewhere as {tmp_path / 'gone.txt'}.")
    assert list(tmp_path.iterdir()) == []


def test_no_network(closed_port: str, tmp_path: Path) -> None:
    message = refusal(RemoteFile(f"{closed_port}/bench.txt", None), tmp_path)
    assert re.search(r"cannot be downloaded \(.*[Cc]onnection refused\); check the connection", message)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_nobody_knows(tmp_path: Path) -> None:
    assert "cannot be downloaded (" in refusal(RemoteFile("https://nowhere.invalid/a.txt", None), tmp_path)


def test_a_file_saved_by_hand_is_enough(closed_port: str, tmp_path: Path) -> None:
    (tmp_path / "bench.txt").write_bytes(CONTENT)
    file = RemoteFile(f"{closed_port}/bench.txt", checksum(CONTENT))
    assert kept(file, tmp_path, text) == CONTENT.decode()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/a.txt", "plain http can be tampered with"),
        ("http://127.0.0.1.example.org/a.txt", "plain http can be tampered with"),
        ("http://localhost@example.org/a.txt", "plain http can be tampered with"),
        ("ftp://example.org/a.txt", "unknown url type: ftp"),
        (Path(__file__).as_uri(), "unknown url type: file"),
        ("data:,a%20bench", "unknown url type: data"),
    ],
)
def test_only_https_is_trusted(url: str, reason: str, tmp_path: Path) -> None:
    assert f"cannot be downloaded ({reason}" in refusal(RemoteFile(url, None), tmp_path)


def test_a_redirect_is_followed_only_to_where_it_is_safe(website: Website, tmp_path: Path) -> None:
    target = website.put("/bench.txt", CONTENT)
    moved = website.put("/moved.txt", b"", 302, Location=target)
    assert fetch(moved) == CONTENT
    unsafe = website.put("/unsafe.txt", b"", 302, Location="http://example.org/bench.txt")
    assert "plain http can be tampered with" in refusal(RemoteFile(unsafe, None), tmp_path)
    local = website.put("/local.txt", b"", 302, Location=Path(__file__).as_uri())
    assert "cannot be downloaded (" in refusal(RemoteFile(local, None), tmp_path)


def test_a_damaged_cached_file(website: Website, tmp_path: Path) -> None:
    file = RemoteFile(website.put("/bench.txt", CONTENT), checksum(CONTENT))
    kept(file, tmp_path, text)
    path = tmp_path / "bench.txt"
    path.write_bytes(CONTENT[:-1] + b"!")
    message = refusal(file, tmp_path)
    assert message.startswith(f"{path} is not the file that it should be (sha256 ")
    assert "delete it and give the same command again" in message
    path.unlink()
    assert kept(file, tmp_path, text) == CONTENT.decode()


def test_a_cached_file_that_cannot_be_read(closed_port: str, tmp_path: Path) -> None:
    (tmp_path / "bench.txt").mkdir()
    message = refusal(RemoteFile(f"{closed_port}/bench.txt", None), tmp_path)
    assert message.startswith(f"{tmp_path / 'bench.txt'} cannot be read (Is a directory)")


def test_the_first_download_is_pinned(website: Website, tmp_path: Path) -> None:
    file = RemoteFile(website.put("/bench.txt", CONTENT), None)
    kept(file, tmp_path, text)
    path, pin = tmp_path / "bench.txt", tmp_path / "bench.txt.sha256"
    assert pin.read_text() == f"{checksum(CONTENT)}  bench.txt\n"
    assert kept(file, tmp_path, text) == CONTENT.decode()

    path.write_bytes(b"damaged")
    assert "is not the file that it should be" in refusal(file, tmp_path)

    path.unlink()
    website.put("/bench.txt", b"changed upstream")
    assert refusal(file, tmp_path).endswith(f"try again, or delete {pin} to accept the new file.")
    assert not path.exists()

    pin.unlink()
    assert kept(file, tmp_path, text) == "changed upstream"
    assert pin.read_text().startswith(checksum(b"changed upstream"))


def test_a_file_saved_by_hand_is_pinned_too(closed_port: str, tmp_path: Path) -> None:
    (tmp_path / "bench.txt").write_bytes(CONTENT)
    kept(RemoteFile(f"{closed_port}/bench.txt", None), tmp_path, text)
    assert (tmp_path / "bench.txt.sha256").read_text().startswith(checksum(CONTENT))


@pytest.mark.parametrize("content", [b"", b"<html>\xe9</html>"])
def test_what_cannot_be_parsed_is_not_pinned(website: Website, tmp_path: Path, content: bytes) -> None:
    file = RemoteFile(website.put("/bench.txt", content), None)
    assert "gave no prompts that can be read, so nothing was kept" in refusal(file, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bench.txt").write_bytes(content)
    assert refusal(file, tmp_path).startswith(f"{tmp_path / 'bench.txt'} holds no prompts that can be read;")
    assert [each.name for each in tmp_path.iterdir()] == ["bench.txt"]


def test_a_full_disk(website: Website, tmp_path: Path, fill_the_disk_for: Callable[[Path], None]) -> None:
    file = RemoteFile(website.put("/bench.txt", CONTENT), None)
    fill_the_disk_for(tmp_path / "bench.txt")
    assert refusal(file, tmp_path).startswith("The disk is full")
    assert list(tmp_path.iterdir()) == []


def test_where_downloads_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HYPERNOISE_CACHE", raising=False)
    assert cache_folder() == tmp_path / ".cache/hypernoise"
    monkeypatch.setenv("HYPERNOISE_CACHE", "")
    assert cache_folder() == tmp_path / ".cache/hypernoise"
    monkeypatch.setenv("HYPERNOISE_CACHE", "~/elsewhere")
    assert cache_folder() == tmp_path / "elsewhere"
