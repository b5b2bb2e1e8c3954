"""What models, rewards and judges download: from the hub (`hub.py`), or a file from elsewhere (`remote_files.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Source(Protocol):
    """Files of one place, downloaded once and kept."""

    @property
    def place(self) -> str:
        """Where they come from, in a word, such as "stabilityai/sd-turbo"."""
        ...

    @property
    def page(self) -> str:
        """Where to read of them."""
        ...

    @property
    def gigabytes(self) -> float:
        """Size of the download, about."""
        ...

    @property
    def licence(self) -> str:
        """Their licence by name."""
        ...

    @property
    def gated(self) -> bool:
        """Whether their owner asks for an account and a consent."""
        ...

    @property
    def on_hub(self) -> bool:
        """Whether HF_HUB_OFFLINE keeps them from being downloaded."""
        ...

    def cached(self) -> Path | None:
        """Where they lie on this machine, or None where one is missing."""
        ...

    def fetch(self) -> Path:
        """Where they lie, downloaded first where they are missing.

        Raises:
            HnError: if they cannot be had.
        """
        ...

    def hashes(self) -> dict[str, str]:
        """sha256 of every file that is read, by its name; what is missing is downloaded."""
        ...

    def check(self) -> None:
        """Read what was downloaded.

        Raises:
            HnError: if it is damaged.
        """
        ...


def hashes(sources: Iterable[Source]) -> dict[str, str]:
    """sha256 of every file that is read of several sources, by name."""
    return {name: digest for source in sources for name, digest in source.hashes().items()}
