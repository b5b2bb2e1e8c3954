"""Files from the internet, kept in a folder and accepted by their checksum alone."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from hypernoise.errors import HnError
from hypernoise.files import inside, sha256_of, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse

Parsed = TypeVar("Parsed")

SECONDS = 60
"""How long a server may be silent."""

CHUNK = 1 << 20
"""Bytes between two looks at the progress bar."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on the internet.

    Attributes:
        url: Its https address, which ends with its name.
        sha256: Of its content. None where nobody published it: then the first content that could be read is pinned,
            its checksum written beside the file and asked of every later content.
        holds: What is in it, in a word.
    """

    url: str
    sha256: str | None
    holds: str = "prompts"

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class KeptFile(Generic[Parsed]):
    """A file on the internet that a benchmark needs, as a source beside those on the hub.

    Attributes:
        file: Which.
        room: The folder below `cache_folder()` that it is kept in.
        parse: Reads its content; raises ValueError where it is no such file.
        gigabytes: Its size, about.
        licence: Its licence by name.
    """

    file: RemoteFile
    room: str
    parse: Callable[[bytes], Parsed]
    gigabytes: float
    licence: str

    @property
    def place(self) -> str:
        """The server."""
        return urlsplit(self.file.url).hostname or ""

    @property
    def page(self) -> str:
        """Its address."""
        return self.file.url

    @property
    def gated(self) -> bool:
        """It is not."""
        return False

    @property
    def on_hub(self) -> bool:
        """It is not."""
        return False

    def content(self) -> Parsed:
        """What it says; raises as `kept` does."""
        return kept(self.file, cache_folder() / self.room, self.parse)

    def cached(self) -> Path | None:
        """Where it lies, if it does."""
        path = cache_folder() / self.room / self.file.name
        return path if path.exists() else None

    def fetch(self) -> Path:
        """Where it lies, downloaded first where it is missing; raises as `kept` does."""
        self.check()
        return cache_folder() / self.room / self.file.name

    def hashes(self) -> dict[str, str]:
        """Its sha256 by its name."""
        return {self.file.name: sha256_of(self.fetch())}

    def check(self) -> None:
        """Read it; raises as `kept` does."""
        self.content()


def cache_folder() -> Path:
    """Where downloads are kept: $HYPERNOISE_CACHE, or else ~/.cache/hypernoise."""
    return Path(os.environ.get("HYPERNOISE_CACHE") or "~/.cache/hypernoise").expanduser()


def kept(file: RemoteFile, folder: Path, parse: Callable[[bytes], Parsed]) -> Parsed:
    """What a file says, taken from `folder` or else downloaded into it once it has proved to be the right one.

    Args:
        file: The file.
        folder: Holds the file under its own name, and `<name>.sha256` beside one that was pinned.
        parse: Reads the file's content; raises ValueError where it is no such file.

    Raises:
        HnError: if the file cannot be had, has another checksum or cannot be parsed; a download is not kept then.
    """
    path, pin = inside(folder, file.name), inside(folder, f"{file.name}.sha256")
    expected = file.sha256 or _pinned(pin)
    cached = path.exists()
    content = _read(path) if cached else _download(file.url, path)
    found = hashlib.sha256(content).hexdigest()
    if expected and found != expected:
        raise _mismatch(file, path if cached else None, pin, f"{found} instead of {expected}")
    try:
        parsed = parse(content)
    except ValueError:
        raise _unreadable(file, path if cached else None) from None
    if not cached:
        write_atomically(path, content)
    if not expected:
        write_atomically(pin, f"{found}  {file.name}\n".encode())
    return parsed


def fetch(url: str) -> bytes:
    """The content of a URL, whole, with a progress bar on a terminal's standard error.

    Raises:
        OSError: if the server cannot be reached, refuses, or is neither reached by https nor this machine itself.
        HTTPException: if it breaks off or does not speak HTTP.
    """
    from rich.console import Console  # noqa: PLC0415 - most calls find their file in the cache
    from rich.progress import wrap_file  # noqa: PLC0415

    terminal = Console(stderr=True)
    with _opener().open(url, timeout=SECONDS) as response:
        size = response.length
        bar = wrap_file(
            response,
            size or 0,
            description=f"downloading {url.rpartition('/')[2]}",
            console=terminal,
            transient=True,
            disable=not terminal.is_terminal,
        )
        with bar as reader:
            content = b"".join(iter(lambda: reader.read(CHUNK), b""))
    if size is not None and len(content) < size:
        raise IncompleteRead(content, size - len(content))
    return content


class _LoopbackOnly(request.HTTPHandler):
    """Plain http to this machine alone: nobody is on the way. Redirects pass here too."""

    def http_open(self, req: request.Request) -> HTTPResponse:
        if urlsplit(req.full_url).hostname not in ("localhost", "127.0.0.1", "::1"):
            raise URLError("plain http can be tampered with on the way")
        return super().http_open(req)


def _opener() -> request.OpenerDirector:
    """Opens https and what `_LoopbackOnly` lets through; unlike urllib's own, neither files nor ftp."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPSHandler(),
        _LoopbackOnly(),
        request.UnknownHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _download(url: str, path: Path) -> bytes:
    try:
        return fetch(url)
    except (OSError, HTTPException) as error:
        raise HnError(
            f"{url} cannot be downloaded ({_reason(error)}); check the connection and give the same command again, "
            f"or save the file from elsewhere as {path}."
        ) from None


def _reason(error: OSError | HTTPException) -> str:
    match error:
        case HTTPError():
            error.close()
            return f"the server answers {error.code} {error.reason}"
        case IncompleteRead():
            return "the connection broke off"
        case URLError(reason=reason):
            return str(reason)
        case _:
            return str(error) or type(error).__name__


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HnError(
            f"{path} cannot be read ({error.strerror}); check the file and its permissions."
        ) from None


def _pinned(pin: Path) -> str | None:
    """The checksum that was written beside a file when it was first read."""
    if not pin.exists():
        return None
    return _read(pin).decode("ascii", errors="replace").partition(" ")[0].strip()


def _mismatch(file: RemoteFile, cached: Path | None, pin: Path, difference: str) -> HnError:
    if cached:
        return HnError(
            f"{cached} is not the file that it should be (sha256 {difference}); "
            "delete it and give the same command again to download it anew."
        )
    remedy = (
        f"try again{_otherwise(file)}"
        if file.sha256
        else f"try again, or delete {pin} to accept the new file"
    )
    return HnError(
        f"{file.url} gave another file than it should (sha256 {difference}), so nothing was kept; {remedy}."
    )


def _unreadable(file: RemoteFile, cached: Path | None) -> HnError:
    if cached:
        return HnError(
            f"{cached} holds no {file.holds} that can be read; delete it and give the same command again."
        )
    return HnError(
        f"{file.url} gave no {file.holds} that can be read, so nothing was kept; try again{_otherwise(file)}."
    )


def _otherwise(file: RemoteFile) -> str:
    return ", or give your own prompts as a text file" if file.holds == "prompts" else ""
