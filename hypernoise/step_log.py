"""A training's log, one JSON object a line, that fits its checkpoint after any interruption."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypernoise.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class StepLog:
    """Rows with a `step`; those of steps after the checkpoint are dropped, for they will be taken and logged again."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        if path.exists():
            whole = [line for line in path.read_text().splitlines() if line.endswith("}")]
            kept = [line + "\n" for line in whole if json.loads(line)["step"] <= step]
            write_atomically(path, "".join(kept).encode())

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row."""
        with self.path.open("a") as log:
            log.write(json.dumps(row) + "\n")
