"""The pretrained rewards on tiny weights, loaded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import tiny_rewards
import torch
from hub_files import use

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.rewards.pretrained import PretrainedReward


@pytest.fixture(scope="session")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("hub")
    tiny_rewards.lay_out(cache)
    return cache


@pytest.fixture
def hub(_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache in use: it holds all rewards' files, and nothing can be downloaded."""
    use(_files, monkeypatch)
    return _files


@pytest.fixture(scope="session")
def pretrained(_files: Path) -> dict[str, PretrainedReward]:
    """The rewards by their names."""
    with pytest.MonkeyPatch.context() as patch:
        use(_files, patch)
        return {name: kind.load(torch.device("cpu")) for name, kind in tiny_rewards.TINY.items()}
