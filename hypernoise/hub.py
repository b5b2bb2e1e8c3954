"""Files on the Hugging Face hub: found in its cache, downloaded where they are missing, identified by sha256."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from hypernoise.errors import HnError
from hypernoise.files import sha256_of

SHA256_DIGITS = 64


@dataclass(frozen=True)
class HubFiles:
    """What a model needs of one repository on the hub.

    Attributes:
        repo: Its id, such as "stabilityai/sd-turbo".
        files: Patterns of the files that are read, such as "vae/*.safetensors"; each fits one file or more. A download
            takes these and nothing else, so that weights of other kinds and pickles stay where they are.
        gigabytes: Size of the download, about.
        licence: Its licence by name.
        gated: Whether its owner asks for an account and a consent.
    """

    repo: str
    files: tuple[str, ...]
    gigabytes: float
    licence: str
    gated: bool = False

    @property
    def place(self) -> str:
        """The repository."""
        return self.repo

    @property
    def on_hub(self) -> bool:
        """It is."""
        return True

    @property
    def page(self) -> str:
        """The repository's page."""
        return f"https://huggingface.co/{self.repo}"

    def cached(self) -> Path | None:
        """The folder of the newest snapshot in the hub's cache, or None where a file is missing there."""
        try:
            folder = Path(
                snapshot_download(self.repo, local_files_only=True, allow_patterns=list(self.files))
            )
        except (LocalEntryNotFoundError, OSError):
            return None
        return folder if self._complete(folder) else None

    def _complete(self, folder: Path) -> bool:
        found = {pattern: [path for path in folder.glob(pattern) if path.exists()] for pattern in self.files}
        indices = [path for paths in found.values() for path in paths if path.name.endswith(".index.json")]
        return all(found.values()) and all(_shards_exist(index) for index in indices)

    def fetch(self) -> Path:
        """The folder of all files, downloaded first where they are missing.

        Raises:
            HnError: if they cannot be had, with what to do.
        """
        folder = self.cached()
        if folder is None:
            self.download()
            folder = self.cached()
        if folder is None:
            raise HnError(f"{self.repo} no longer has all of {', '.join(self.files)}: see {self.page}.")
        return folder

    def download(self) -> None:
        """Bring the newest files into the hub's cache, with its own progress bars.

        Raises:
            HnError: if there is no network, no permission or no space.
        """
        if constants.HF_HUB_OFFLINE:
            raise HnError(
                f"{self.repo} is not complete in {constants.HF_HUB_CACHE} and HF_HUB_OFFLINE is set: unset it, or "
                f"copy the cache folder models--{self.repo.replace('/', '--')} from a machine that has it."
            )
        try:
            snapshot_download(self.repo, allow_patterns=list(self.files))
        except GatedRepoError:
            raise HnError(
                f"{self.repo} is gated: accept its licence at {self.page} and log in with `hf auth login`."
            ) from None
        except RepositoryNotFoundError:
            raise HnError(f"There is no repository {self.page}, or none for this account.") from None
        except (HTTPError, LocalEntryNotFoundError, OSError) as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> HnError:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return HnError(
                f"The disk is full: {self.repo} needs {self.gigabytes:g} GB in {constants.HF_HUB_CACHE}; free some "
                "space, or set HF_HOME to a larger disk."
            )
        return HnError(
            f"{self.repo} cannot be downloaded ({type(error).__name__}): check the connection and give the same "
            f"command again; it goes on where it stopped ({self.gigabytes:g} GB in all)."
        )

    def _paths(self, folder: Path) -> list[Path]:
        """The files that are read, in a folder that holds them."""
        return sorted({path for pattern in self.files for path in folder.glob(pattern)})

    def hashes(self) -> dict[str, str]:
        """sha256 of every file that is read, by "repository/name"."""
        folder = self.fetch()
        return {f"{self.repo}/{path.relative_to(folder)}": _sha256(path) for path in self._paths(folder)}

    def check(self) -> None:
        """Hash the large files, which the hub stores by their sha256.

        Raises:
            HnError: if one of them has another content.
        """
        folder = self.fetch()
        stored = {path: name for path in self._paths(folder) if (name := _stored_sha256(path))}
        damaged = [str(path.relative_to(folder)) for path, name in stored.items() if sha256_of(path) != name]
        if damaged:
            raise HnError(
                f"{', '.join(damaged)} of {self.repo} is damaged in the hub's cache; delete {folder.parents[1]} and "
                "give the same command again."
            )


def _shards_exist(index: Path) -> bool:
    try:
        shards = set(json.loads(index.read_text())["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((index.parent / shard).exists() for shard in shards)


def _stored_sha256(path: Path) -> str | None:
    """The hub's cache keeps large files under their sha256, and links to them."""
    name = path.resolve().name
    hexadecimal = len(name) == SHA256_DIGITS and not name.strip("0123456789abcdef")
    return name if path.is_symlink() and hexadecimal else None


@cache
def _sha256(path: Path) -> str:
    return _stored_sha256(path) or sha256_of(path)
