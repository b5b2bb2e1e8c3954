"""Files on the hub: found in a cache, fetched from a real server, refused in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hub_files import make_cache, sha256, use
from hub_server import hub_server

from hypernoise.errors import HnError
from hypernoise.hub import HubFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPO = "owner/model"
FILES = {"config.json": b"{}", "unet/weights.safetensors": b"tensors"}
SOURCE = HubFiles(REPO, ("config.json", "unet/*.safetensors"), 1.5, "MIT")
INDEX = b'{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'

SCRIPT = f"""
from hypernoise.errors import HnError
from hypernoise.hub import HubFiles
source = HubFiles({REPO!r}, {SOURCE.files!r}, 1.5, "MIT", gated=True)
try:
    print(source.fetch())
    print(sorted(source.hashes().values()))
except HnError as error:
    print(f"refused: {{error}}")
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(tmp_path, monkeypatch)
    return tmp_path


def fetched(home: Path, **environment: str) -> list[str]:
    """What a fresh process says of fetching the repository."""
    settings = {"HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | settings, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_a_whole_snapshot_is_found_and_known_by_its_hashes(cache: Path) -> None:
    snapshot = make_cache(cache, REPO, FILES)
    assert SOURCE.fetch() == SOURCE.cached() == snapshot
    assert SOURCE.hashes() == {f"{REPO}/{name}": sha256(content) for name, content in FILES.items()}
    SOURCE.check()


@pytest.mark.parametrize("lost", FILES)
def test_a_missing_file_is_not_taken_for_ready(cache: Path, lost: str) -> None:
    snapshot = make_cache(cache, REPO, FILES)
    (snapshot / lost).unlink()
    assert SOURCE.cached() is None
    with pytest.raises(HnError, match=r"is not complete in .* HF_HUB_OFFLINE is set: unset it, or copy"):
        SOURCE.fetch()


def test_all_shards_of_an_index_are_needed(cache: Path) -> None:
    names = {"t/model.safetensors.index.json": INDEX, "t/one.safetensors": b"1", "t/two.safetensors": b"2"}
    source = HubFiles(REPO, ("t/*.safetensors", "t/*.index.json"), 1, "MIT")
    snapshot = make_cache(cache, REPO, names)
    assert source.cached() == snapshot
    (snapshot / "t" / "two.safetensors").unlink()
    assert source.cached() is None


def test_a_changed_file_is_found_damaged(cache: Path) -> None:
    snapshot = make_cache(cache, REPO, FILES)
    (snapshot / "unet" / "weights.safetensors").resolve().write_bytes(b"tensorz")
    with pytest.raises(
        HnError, match=r"^unet/weights\.safetensors of .* is damaged in the hub's cache; delete "
    ):
        SOURCE.check()


def test_a_download_takes_what_is_asked_for_and_then_works_offline(tmp_path: Path) -> None:
    with hub_server({REPO: FILES | {"unet/weights.bin": b"pickle"}}) as url:
        folder, hashes = fetched(tmp_path, HF_ENDPOINT=url)
    assert not list(tmp_path.rglob("*.bin"))
    assert hashes == str(sorted(map(sha256, FILES.values())))
    assert fetched(tmp_path, HF_HUB_OFFLINE="1") == [folder, hashes]


@pytest.mark.parametrize(
    ("repositories", "sentence"),
    [
        (
            {REPO: "GatedRepo"},
            f"refused: {REPO} is gated: accept its licence at https://huggingface.co/{REPO} and",
        ),
        ({}, f"refused: There is no repository https://huggingface.co/{REPO}, or none for this account."),
        (
            {REPO: {"config.json": b"{}"}},
            f"refused: {REPO} no longer has all of config.json, unet/*.safetensors",
        ),
    ],
)
def test_what_the_hub_refuses_is_said_with_a_remedy(
    tmp_path: Path, repositories: dict[str, dict[str, bytes] | str], sentence: str
) -> None:
    with hub_server(repositories) as url:
        (said,) = fetched(tmp_path, HF_ENDPOINT=url)
    assert said.startswith(sentence)


def test_no_network_is_said_with_a_remedy(tmp_path: Path) -> None:
    (said,) = fetched(tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert said.startswith(f"refused: {REPO} cannot be downloaded (")
    assert said.endswith("it goes on where it stopped (1.5 GB in all).")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "reno:papr"], "reno has no preset 'papr'"),
        (["--method", "best-of-n", "--set", "best-of-n.n=0"], "best-of-n cannot run with these settings"),
        (["--seeds", "0"], "--seeds is '0'"),
        (["--reward", "redness"], "--reward is 'redness'"),
    ],
)
def test_what_was_mistyped_is_said_before_weights_are_asked_for(
    refusal: Callable[..., str], tmp_path: Path, words: list[str], sentence: str
) -> None:
    said = refusal("bench", "geneval", "--model", "sana", *words, "--results", tmp_path / "results")
    assert said.startswith(sentence)
