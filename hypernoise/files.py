"""Files that appear whole or not at all, and folders that one process at a time works in."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL.Image import Image


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is either complete or as it was before, also after a crash of the machine.

    Raises:
        HnError: if the disk is full or the folder cannot be written to; nothing is left behind then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _forget(temporary)


def write_png(path: Path, image: Image) -> None:
    """Write an image as PNG, as `write_atomically` does."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives a folder to fill, which becomes `path`, where nothing may be yet, if nothing goes wrong meanwhile.

    Raises:
        HnError: if it cannot be written; nothing is left behind then, as after any other error.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(lock: Path, work: str) -> Iterator[None]:
    """Keep other processes off some work, named in the sentence that refuses them, by a lock on the file `lock`.

    Raises:
        HnError: if another process is at it, or the file cannot be made.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock, timeout=0)
        held.acquire()
    except Timeout:
        raise HnError(f"Another process is working on {work}; wait until it has finished.") from None
    except OSError as error:
        raise unwritable(lock.parent, error) from error
    try:
        yield
    finally:
        held.release()


def inside(folder: Path, name: str) -> Path:
    """The path of a file below a folder, by a name that came from elsewhere.

    Raises:
        HnError: if it would lie outside.
    """
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise HnError(f"{name!r} is not the name of a file inside of {folder}, so nothing is written there.")
    return folder / path


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a crash of the machine, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _forget(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return


def unwritable(path: Path, error: OSError) -> HnError:
    """The sentence for a file or folder that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HnError(
            f"The disk is full: {path} was not written; free some space and give the same command again."
        )
    return HnError(f"{path} cannot be written ({error.strerror}); check the folder and its permissions.")
