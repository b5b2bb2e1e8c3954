"""What a run leaves on disk, written so that a kill at any instant loses at most the piece being worked on.

A run's folder holds `manifest.json`, `images/<prompt>/<seed>.png`, `records/<piece>.jsonl` (one line a sample, the
same however often and on whatever day the run is repeated) and `costs/<piece>.jsonl` (what was measured). A piece
is finished when both files exist, the records written last; every file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image

from hypernoise.errors import HnError
from hypernoise.files import unwritable, write_atomically, write_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hypernoise.experiments.plan import Piece

Record = dict[str, Any]


def _sealed(record: Record) -> Record:
    """A record with a checksum that tells later damage."""
    body = json.dumps(record, sort_keys=True, allow_nan=False)
    return record | {"sha256": hashlib.sha256(body.encode()).hexdigest()}


def _unsealed(text: str) -> Record | None:
    """The record that was sealed, or None if the text is damaged."""
    try:
        sealed = json.loads(text)
        record: Record = {name: value for name, value in sealed.items() if name != "sha256"}
        return record if _sealed(record) == sealed else None
    except (ValueError, AttributeError):
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise HnError(
            f"{path} cannot be read ({error.strerror}); check the disk and its permissions."
        ) from error


def _rows(path: Path) -> list[Record]:
    rows = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        row = _unsealed(line)
        if row is None:
            raise HnError(
                f"{path}, line {number}, is damaged; delete that file and give the same command again."
            )
        rows.append(row)
    return rows


class RunStore:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies."""
        return self.folder / "manifest.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes off this run.

        Raises:
            HnError: if another process is at work on it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise HnError(
                f"Another process is working on the run {self.folder.name}; wait until it has finished."
            ) from None
        except OSError as error:
            raise unwritable(self.folder, error) from error
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def _sweep(self) -> None:
        """Remove what a killed process had begun to write."""
        for leftover in self.folder.rglob(".*.partial"):
            try:
                leftover.unlink()
            except OSError as error:
                raise unwritable(leftover, error) from error

    def write_manifest(self, manifest: Record) -> None:
        """Store what the run is."""
        text = json.dumps(_sealed(manifest), indent=2, sort_keys=True) + "\n"
        write_atomically(self.manifest_path, text.encode())

    def manifest(self) -> Record:
        """What the run is.

        Raises:
            HnError: if the manifest is missing or damaged.
        """
        if not self.manifest_path.exists():
            raise HnError(f"There is no run in {self.folder}.")
        manifest = _unsealed(_read(self.manifest_path))
        if manifest is None:
            raise HnError(
                f"{self.manifest_path} is damaged; delete that file and give the same command again."
            )
        return manifest

    def _piece(self, kind: str, piece: int) -> Path:
        return self.folder / kind / f"{piece:05d}.jsonl"

    def has_piece(self, piece: Piece) -> bool:
        """Whether a piece is finished.

        Raises:
            HnError: if what is stored of it is damaged, or are not its samples.
        """
        paths = [self._piece(kind, piece.number) for kind in ("costs", "records")]
        if not all(path.exists() for path in paths):
            return False
        samples = [(sample.prompt_index, sample.seed) for sample in piece.samples]
        for path in paths:
            if [(row["prompt_index"], row["seed"]) for row in _rows(path)] != samples:
                raise HnError(
                    f"{path} does not hold the samples it should; delete that file and give the same command again."
                )
        return True

    def write_piece(self, piece: int, records: Sequence[Record], costs: Sequence[Record]) -> None:
        """Finish a piece; its images must have been written before."""
        for kind, rows in (("costs", costs), ("records", records)):
            text = "".join(json.dumps(_sealed(row), sort_keys=True) + "\n" for row in rows)
            write_atomically(self._piece(kind, piece), text.encode())

    def _finished(self, kind: str) -> list[Record]:
        costs, records = (
            {path.name for path in (self.folder / each).glob("*.jsonl")} for each in ("costs", "records")
        )
        return [row for name in sorted(costs & records) for row in _rows(self.folder / kind / name)]

    def records(self) -> list[Record]:
        """One record a sample, of all finished pieces.

        Raises:
            HnError: if a line is damaged; the sentence names file and line.
        """
        return self._finished("records")

    def costs(self) -> list[Record]:
        """What each sample cost, of all finished pieces; raises as `records` does."""
        return self._finished("costs")

    def image_path(self, prompt_index: int, seed: int) -> Path:
        """Where a sample's image lies."""
        return self.folder / "images" / f"{prompt_index:05d}" / f"{seed:05d}.png"

    def write_image(self, prompt_index: int, seed: int, pixels: np.ndarray) -> str:
        """Store uint8 [H, W, 3] as PNG and return the sha256 of its pixels."""
        write_png(self.image_path(prompt_index, seed), Image.fromarray(pixels))
        return hashlib.sha256(pixels.tobytes()).hexdigest()

    def read_image(self, record: Record) -> np.ndarray:
        """The image of a record, uint8 [H, W, 3].

        Raises:
            HnError: if it is missing, cannot be read, or is not the one that was scored.
        """
        path = self.image_path(record["prompt_index"], record["seed"])
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError):
            raise HnError(
                f"The image {path} is missing or cannot be read; delete {self.folder} and run again."
            ) from None
        if hashlib.sha256(pixels.tobytes()).hexdigest() != record["image_sha256"]:
            raise HnError(
                f"The image {path} has changed since it was scored; delete {self.folder} and run again."
            )
        return pixels
