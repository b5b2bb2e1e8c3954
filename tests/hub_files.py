"""A hub cache made by hand: where a repository's files lie in it, and how it is put to use without a network."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from huggingface_hub import constants

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _repository(cache: Path, repo: str) -> Path:
    return cache / f"models--{repo.replace('/', '--')}"


def snapshot(cache: Path, repo: str) -> Path:
    """The folder of a repository's only snapshot, new if need be."""
    folder = _repository(cache, repo)
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(COMMIT)
    files = folder / "snapshots" / COMMIT
    files.mkdir(parents=True, exist_ok=True)
    return files


def make_cache(cache: Path, repo: str, files: Mapping[str, bytes]) -> Path:
    """A snapshot with these files, each a link to a blob named by its sha256, as the hub keeps large ones."""
    folder = snapshot(cache, repo)
    for name, content in files.items():
        blob, link = _repository(cache, repo) / "blobs" / sha256(content), folder / name
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link.symlink_to(blob)
    return folder


def use(cache: Path, patch: pytest.MonkeyPatch) -> None:
    """From now on, this is the hub's cache, and there is no network."""
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_HUB_OFFLINE", True)
