"""What a run leaves on disk, written so that a kill at any instant loses at most the pieces being made and stored.

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
from PIL import Image

from hypernoise.errors import HnError
from hypernoise.files import locked, unwritable, write_atomically, write_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hypernoise.experiments.plan import Piece

Record = dict[str, Any]

FORMAT = 2
"""Number of the layout described above and of the settings in the manifest."""

KINDS = ("costs", "records")
"""What is stored of a piece, in the order of writing."""

AGAIN = "delete that file and give the same command again."


class DamagedError(HnError):
    """A file of a run that is not what was stored: what is wrong with it, and what to do."""

    def __str__(self) -> str:
        """Both in one sentence."""
        return "; ".join(self.args)

    @property
    def finding(self) -> str:
        """The file and what is wrong with it."""
        return str(self.args[0])


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
        raise DamagedError(
            f"{path} cannot be read ({error.strerror})", "check the disk and its permissions."
        ) from error


def _rows(path: Path) -> list[Record]:
    rows = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        row = _unsealed(line)
        if row is None:
            raise DamagedError(f"{path}, line {number}, is damaged", AGAIN)
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
        with locked(self.folder / ".lock", f"the run {self.folder.name}"):
            self._sweep()
            yield
            self._sweep()

    def _sweep(self) -> None:
        """Remove what a process had begun to write when it was killed, in an earlier run or a worker of this one."""
        for leftover in self.folder.rglob(".*.partial"):
            try:
                leftover.unlink()
            except OSError as error:
                raise unwritable(leftover, error) from error

    def write_manifest(self, manifest: Record) -> None:
        """Store what the run is."""
        text = json.dumps(_sealed(manifest | {"format": FORMAT}), indent=2, sort_keys=True) + "\n"
        write_atomically(self.manifest_path, text.encode())

    def manifest(self) -> Record:
        """What the run is.

        Raises:
            HnError: if the manifest is missing, damaged, or of another version's store.
        """
        if not self.manifest_path.exists():
            raise HnError(f"There is no run in {self.folder}.")
        manifest = _unsealed(_read(self.manifest_path))
        if manifest is None:
            raise DamagedError(f"{self.manifest_path} is damaged", AGAIN)
        found = manifest.pop("format", 1)
        if found != FORMAT:
            raise HnError(
                f"{self.folder} was stored by another version of hypernoise (format {found}, here {FORMAT}); read it "
                "with that version, or move it away."
            )
        return manifest

    def piece_path(self, kind: str, piece: int) -> Path:
        """Where a piece's records or costs lie."""
        return self.folder / kind / f"{piece:05d}.jsonl"

    def has_piece(self, piece: Piece) -> bool:
        """Whether a piece is finished.

        Raises:
            HnError: if what is stored of it is damaged, or are not its samples.
        """
        if not all(self.piece_path(kind, piece.number).exists() for kind in KINDS):
            return False
        for kind in KINDS:
            self.rows(kind, piece)
        return True

    def rows(self, kind: str, piece: Piece) -> list[Record]:
        """A piece's records or costs.

        Raises:
            DamagedError: if they cannot be read, are damaged, or are not those of its samples.
        """
        path = self.piece_path(kind, piece.number)
        rows = _rows(path)
        samples = [(sample.prompt_index, sample.seed) for sample in piece.samples]
        if [(row["prompt_index"], row["seed"]) for row in rows] != samples:
            raise DamagedError(f"{path} does not hold the samples it should", AGAIN)
        return rows

    def write_piece(self, piece: int, records: Sequence[Record], costs: Sequence[Record]) -> None:
        """Finish a piece; its images must have been written before."""
        for kind, rows in zip(KINDS, (costs, records), strict=True):
            text = "".join(json.dumps(_sealed(row), sort_keys=True) + "\n" for row in rows)
            write_atomically(self.piece_path(kind, piece), text.encode())

    def _finished(self, kind: str) -> list[Record]:
        costs, records = ({path.name for path in (self.folder / each).glob("*.jsonl")} for each in KINDS)
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
            DamagedError: if it is missing, cannot be read, or is not the one that was scored.
        """
        path = self.image_path(record["prompt_index"], record["seed"])
        remedy = f"delete {self.folder} and run again."
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError):
            raise DamagedError(f"The image {path} is missing or cannot be read", remedy) from None
        if hashlib.sha256(pixels.tobytes()).hexdigest() != record["image_sha256"]:
            raise DamagedError(f"The image {path} has changed since it was scored", remedy)
        return pixels
