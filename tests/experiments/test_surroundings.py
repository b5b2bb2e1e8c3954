"""What surrounds a run changes: the folder becomes read-only, the clock is set back, the store is another version's."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hypernoise.experiments.store import FORMAT, RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Hn = Callable[..., list[str]]
    Refusal = Callable[..., str]
    Contents = Callable[[Path], dict[str, bytes]]

BENCH = ["bench", "geneval", "--seeds", 2, "--limit", 5, "--batch", 4, "--device", "cpu"]
NOBODY = 65534
PAST = time.struct_time((2001, 2, 3, 4, 5, 6, 5, 34, 0))


@pytest.fixture
def store(results: Path) -> RunStore:
    """The finished run of base."""
    (folder,) = (results / "runs").glob("shapes-base-*")
    return RunStore(folder)


@pytest.fixture
def read_only(results: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes `results`, below the working folder, read-only: root, whom modes do not stop, becomes nobody."""
    monkeypatch.chdir(results.parent)
    results.parent.chmod(0o755)
    for path in (results, *results.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(user)
    for path in (results, *results.rglob("*")):
        path.chmod(0o755)


@pytest.mark.usefixtures("read_only")
def test_a_read_only_folder_can_be_read_and_checked(hn: Hn) -> None:
    assert len(hn("ls", "runs")) == 2
    (line,) = hn("verify", "shapes-base", "--images", 4, "--device", "cpu")
    assert "4 of them, judged again, score the same" in line


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize(
    "words", [BENCH, [*BENCH, "--method", "hypernoise"], ["table", 1], ["show", "shapes-base"]]
)
def test_what_would_write_to_a_read_only_folder_says_so(
    refusal: Refusal, contents: Contents, words: list[object]
) -> None:
    results = Path("results")
    before = contents(results)
    said = refusal(*words)
    assert said.startswith("results/")
    assert said.endswith(" cannot be written (Permission denied); check the folder and its permissions.")
    assert contents(results) == before


def test_a_run_resumed_with_the_clock_set_back_keeps_its_order_and_its_bytes(
    hn: Hn, results: Path, store: RunStore, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_manifest(store.manifest() | {"started": "2040-01-01T00:00:00Z"})
    before = {name: data for name, data in contents(results / "runs").items() if "costs" not in name}
    newest_first = hn("ls", "runs", "--results", results)
    assert newest_first[0] == store.folder.name
    store.piece_path("records", 1).unlink()
    monkeypatch.setattr(time, "gmtime", lambda *_: PAST)
    monkeypatch.setattr(time, "time", lambda: 981_173_106.0)
    hn(*BENCH, "--results", results)
    assert {name: data for name, data in contents(results / "runs").items() if "costs" not in name} == before
    assert all(cost["seconds"] > 0 for cost in store.costs())
    assert hn("ls", "runs", "--results", results) == newest_first


def test_of_the_clock_a_run_holds_nothing_but_when_it_was_started(
    hn: Hn, results: Path, tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "gmtime", lambda *_: PAST)
    monkeypatch.setattr(time, "time", lambda: 981_173_106.0)
    hn(*BENCH, "--results", tmp_path / "past")
    (past,) = (RunStore(folder) for folder in (tmp_path / "past" / "runs").iterdir())
    now = RunStore(results / "runs" / past.folder.name)
    assert past.manifest() == now.manifest() | {"started": "2001-02-03T04:05:06Z"}
    for kind in ("records", "images"):
        assert contents(past.folder / kind) == contents(now.folder / kind)


def test_times_of_files_mean_nothing(hn: Hn, results: Path, store: RunStore, contents: Contents) -> None:
    (results / "shapes" / "table1.csv").unlink()
    hn("table", 1, "--results", results)
    before, runs = contents(results), hn("ls", "runs", "--results", results)
    for number, path in enumerate(store.folder.rglob("*")):
        os.utime(path, (number, number))
    hn("table", 1, "--results", results)
    assert hn("ls", "runs", "--results", results) == runs
    assert contents(results) == before


def test_a_run_stored_before_formats_were_numbered_is_refused(
    refusal: Refusal, store: RunStore, results: Path
) -> None:
    body = store.manifest()
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    store.manifest_path.write_text(json.dumps(body | {"sha256": digest}, indent=2, sort_keys=True))
    assert f"(format 1, here {FORMAT})" in refusal("ls", "runs", "--results", results)


@pytest.mark.parametrize("number", [FORMAT - 1, FORMAT + 1])
@pytest.mark.parametrize("words", [BENCH, ["ls", "runs"], ["table", 1], ["verify", "shapes-base"]])
def test_a_store_of_another_version_is_refused(
    refusal: Refusal,
    results: Path,
    store: RunStore,
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    words: list[object],
) -> None:
    with monkeypatch.context() as other_version:
        other_version.setattr("hypernoise.experiments.store.FORMAT", number)
        store.write_manifest({"run": "as it was"})
    before = contents(results)
    assert refusal(*words, "--results", results) == (
        f"{store.folder} was stored by another version of hypernoise (format {number}, here {FORMAT}); read it with "
        "that version, or move it away."
    )
    assert contents(results) == before
