"""`hn models`, `hn doctor` and `hn download`: what is here, and what to do for what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hub_files import make_cache, use

from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.hub import HubFiles
from hypernoise.inventory import Item, items
from hypernoise.prompts.sets import CATALOGUE
from hypernoise.registry import names
from hypernoise.remote_files import KeptFile, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPEN = HubFiles("owner/open", ("a.json",), 1.5, "MIT")
GATED = HubFiles("owner/gated", ("a.json",), 2.5, "other", gated=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(tmp_path, monkeypatch)
    monkeypatch.setenv("HYPERNOISE_CACHE", str(tmp_path / "prompts"))
    monkeypatch.setenv("COLUMNS", "250")
    return tmp_path


def test_an_item_is_ready_when_all_its_files_are_here(cache: Path) -> None:
    item = Item("model", "pair", (OPEN, GATED))
    make_cache(cache, OPEN.repo, {"a.json": b"{}"})
    assert item.missing == (GATED,)
    assert item.state == "download needed"
    assert item.remedy(offline=False, token=True) == (
        "accept the licence at https://huggingface.co/owner/gated, then hn download pair"
    )
    assert item.remedy(offline=True, token=False) == (
        "unset HF_HUB_OFFLINE, then accept the licence at https://huggingface.co/owner/gated, then hf auth login, "
        "then hn download pair"
    )
    make_cache(cache, GATED.repo, {"a.json": b"{}"})
    assert (item.state, item.remedy(offline=False, token=False)) == ("ready", "")


@pytest.mark.usefixtures("cache")
def test_doctor_names_everything_that_is_registered(hn: Callable[..., list[str]]) -> None:
    said = "\n".join(hn("doctor", "--device", "cpu"))
    for item in items():
        assert item.name in said
    for name in CATALOGUE:
        assert name in said
    assert "GB of memory" in said
    assert "HF_HUB_OFFLINE is set" in said


def test_a_file_from_elsewhere_is_downloaded_ahead_too(
    cache: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str], hn: Callable[..., list[str]]
) -> None:
    source = KeptFile(RemoteFile("https://example.org/a.txt", None), "prompts/one", bytes.decode, 0.1, "MIT")
    item = Item("benchmark", "one", (source,))
    monkeypatch.setattr("hypernoise.inventory.items", lambda: [item])
    assert (item.state, item.remedy(offline=True, token=False)) == ("download needed", "hn download one")
    path = cache / "prompts" / "prompts" / "one" / "a.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a red bench")
    assert item.state == "ready"
    assert hn("download", "one") == [f"example.org: {path}", "one is ready."]
    path.write_bytes(b"something else")
    assert "is not the file that it should be" in refusal("download", "one")


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("geneval-as-published", ["download.openmmlab.com"]),
        ("dpg-bench", ["raw.githubusercontent.com"]),
        ("diversity", ["download.pytorch.org"]),
    ],
)
@pytest.mark.usefixtures("cache")
def test_what_benchmarks_need_from_elsewhere_is_known(name: str, files: list[str]) -> None:
    (item,) = (item for item in items(["benchmark"]) if item.name == name)
    assert [source.place for source in item.missing if not source.on_hub] == files


@pytest.mark.usefixtures("cache")
def test_models_lists_every_generator_with_its_card(hn: Callable[..., list[str]]) -> None:
    said = "\n".join(hn("models"))
    for name in names("model"):
        assert name in said
    assert "32²" in said


def test_the_embedded_world_s_card_is_true(generator: ShapesGenerator) -> None:
    assert generator.parameters / 1e9 == pytest.approx(ShapesGenerator.card.parameters, rel=0.02)


def test_a_damaged_download_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str], hn: Callable[..., list[str]]
) -> None:
    monkeypatch.setattr("hypernoise.inventory.items", lambda: [Item("model", "one", (OPEN,))])
    snapshot = make_cache(cache, OPEN.repo, {"a.json": b"{}"})
    assert hn("download", "one")[-1] == "one is ready."
    (snapshot / "a.json").resolve().write_bytes(b"[]")
    assert refusal("download", "one").startswith(
        "a.json of owner/open is damaged in the hub's cache; delete "
    )


def test_nothing_of_that_name(refusal: Callable[..., str]) -> None:
    assert refusal("download", "shaps").endswith("did you mean 'shapes'?")
