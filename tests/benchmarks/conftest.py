"""A hub cache made by hand, in which tiny untrained models stand under the published names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from hub_files import snapshot, use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Gives the folder of a repository's only snapshot, to be filled; nothing else is there, and no network."""
    use(tmp_path / "hub", monkeypatch)
    return partial(snapshot, tmp_path / "hub")
