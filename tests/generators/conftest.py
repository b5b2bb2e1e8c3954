"""What the tests of the generators share: the paper's generators, tiny, from a hub cache."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch

from hypernoise.generators.protocol import AMPLE, Memory
from hypernoise.registry import find

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache with tiny pipelines under the names of the real ones."""
    from tiny_pipelines import build  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("hub")
    build(folder)
    return folder


@pytest.fixture(scope="session")
def fresh(hub: Path) -> Callable[[str], Any]:
    """Loads a generator of one's own by its name, without a network; FLUX's images have 128 pixels where not told."""
    from tiny_pipelines import offline  # noqa: PLC0415

    def load(name: str, memory: Memory = AMPLE, resolution: int = 128) -> Any:
        kind = find("model", name)
        small = type(kind.__name__, (kind,), {"card": replace(kind.card, resolution=resolution)})
        with offline(hub):
            return small.load(torch.device("cpu"), memory)

    return load


@pytest.fixture(scope="session")
def loaded(fresh: Callable[[str], Any]) -> Callable[[str], Any]:
    """Gives the one generator of a name that is shared, and that nobody may change."""
    return cache(fresh)
