"""What a run leaves on disk, written so that a kill at any instant loses at most the piece being worked on.

A run's folder holds `manifest.json`, `images/<prompt>/<seed>.png`, `records/<piece>.jsonl` (one line a sample, the
same however often and on whatever day the run is repeated) and `costs/<piece>.jsonl` (what was measured). A piece
is finished when its records file exists; every file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image, UnidentifiedImageError

from hypernoise.errors import HnError
from hypernoise.files import unwritable, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Record = dict[str, Any]


def _line(record: Record) -> str:
    body = json.dumps(record, sort_keys=True, allow_nan=False)
    return json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest()[:16], "record": json.loads(body)})


def _parsed(path: Path, number: int, line: str) -> Record:
    try:
        row = json.loads(line)
        record: Record = row["record"]
        body = json.dumps(record, sort_keys=True, allow_nan=False)
        intact = hashlib.sha256(body.encode()).hexdigest()[:16] == row["sha256"]
    except (ValueError, KeyError, TypeError):
        intact = False
    if not intact:
        raise HnError(f"{path}, line {number}, is damaged; delete that file and give the same command again.")
    return record


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
            leftover.unlink()

    def write_manifest(self, manifest: Record) -> None:
        """Store what the run is."""
        write_atomically(self.manifest_path, (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())

    def manifest(self) -> Record:
        """What the run is.

        Raises:
            HnError: if the manifest is missing or damaged.
        """
        try:
            manifest: Record = json.loads(self.manifest_path.read_text())
            manifest["settings"], manifest["run"]
        except FileNotFoundError:
            raise HnError(f"There is no run in {self.folder}.") from None
        except (ValueError, KeyError, TypeError):
            raise HnError(
                f"{self.manifest_path} is damaged; delete the folder {self.folder} and run again."
            ) from None
        return manifest

    def _piece(self, kind: str, piece: int) -> Path:
        return self.folder / kind / f"{piece:05d}.jsonl"

    def has_piece(self, piece: int) -> bool:
        """Whether a piece is finished."""
        return self._piece("records", piece).exists()

    def write_piece(self, piece: int, records: Sequence[Record], costs: Sequence[Record]) -> None:
        """Finish a piece; its images must have been written before."""
        for kind, rows in (("costs", costs), ("records", records)):
            text = "".join(_line(row) + "\n" for row in rows)
            write_atomically(self._piece(kind, piece), text.encode())

    def _read(self, kind: str) -> list[Record]:
        rows = []
        for path in sorted((self.folder / kind).glob("[0-9]*.jsonl")):
            lines = path.read_text(errors="replace").splitlines()
            rows += [_parsed(path, number, line) for number, line in enumerate(lines, start=1)]
        return rows

    def records(self) -> list[Record]:
        """One record a sample, of all finished pieces.

        Raises:
            HnError: if a line is damaged; the sentence names file and line.
        """
        return self._read("records")

    def costs(self) -> list[Record]:
        """What each sample cost, of all finished pieces."""
        finished = {(record["prompt_index"], record["seed"]) for record in self.records()}
        return [row for row in self._read("costs") if (row["prompt_index"], row["seed"]) in finished]

    def image_path(self, prompt_index: int, seed: int) -> Path:
        """Where a sample's image lies."""
        return self.folder / "images" / f"{prompt_index:05d}" / f"{seed:05d}.png"

    def write_image(self, prompt_index: int, seed: int, pixels: np.ndarray) -> str:
        """Store uint8 [H, W, 3] as PNG and return the sha256 of its pixels."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        write_atomically(self.image_path(prompt_index, seed), buffer.getvalue())
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
        except (OSError, UnidentifiedImageError, SyntaxError):
            raise HnError(
                f"The image {path} is missing or cannot be read; delete {self.folder} and run again."
            ) from None
        if hashlib.sha256(pixels.tobytes()).hexdigest() != record["image_sha256"]:
            raise HnError(
                f"The image {path} has changed since it was scored; delete {self.folder} and run again."
            )
        return pixels
