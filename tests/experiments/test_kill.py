"""A run killed at any instant goes on, and ends with the records and images of an undisturbed run, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from hypernoise.experiments.bench import Request, run_bench
from hypernoise.experiments.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = Path(__file__).with_name("killed_runs.py")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
SAMPLES, PIECES = 12, 4
WRITES = 1 + SAMPLES + 2 * PIECES


def kept(folder: Path) -> dict[str, bytes]:
    """The records and images of a run, by path."""
    files = [path for kind in ("records", "images") for path in (folder / kind).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder in which killed_runs.py worked, and what it saw."""
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, PROGRAM, folder, "7"], env=ENVIRONMENT, check=True, capture_output=True, text=True
    )
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def undisturbed(killed: tuple[Path, dict[str, Any]]) -> dict[str, bytes]:
    """What the undisturbed run left."""
    return kept(killed[0] / "undisturbed")


def test_an_undisturbed_run_is_whole_and_repeats_itself(
    killed: tuple[Path, dict[str, Any]], undisturbed: dict[str, bytes]
) -> None:
    folder, seen = killed
    assert len(undisturbed) == SAMPLES + PIECES
    assert seen["forked"] == 0
    assert kept(folder / "forked") == undisturbed


def test_killed_at_a_hundred_random_instants(
    killed: tuple[Path, dict[str, Any]], undisturbed: dict[str, bytes]
) -> None:
    folder, seen = killed
    assert sum(seen["kills"]) >= 100
    for number in range(len(seen["kills"])):
        assert kept(folder / "random" / str(number)) == undisturbed


def test_killed_in_the_middle_of_every_write(
    killed: tuple[Path, dict[str, Any]], undisturbed: dict[str, bytes]
) -> None:
    folder, seen = killed
    assert seen["writes"] == [[-signal.SIGKILL, 0]] * WRITES + [[0, 0]]
    for number in range(1, WRITES + 2):
        assert kept(folder / "writes" / str(number)) == undisturbed


def test_of_two_at_once_the_second_is_refused(
    killed: tuple[Path, dict[str, Any]], undisturbed: dict[str, bytes]
) -> None:
    folder, seen = killed
    assert seen["two at once"] == [0, 3]
    assert kept(folder / "two") == undisturbed


def test_nothing_half_written_stays(killed: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = killed
    assert not list(folder.rglob("*.partial"))
    for manifest in folder.rglob("manifest.json"):
        store = RunStore(manifest.parent)
        assert store.manifest()["settings"]["method"] == "best-of-n"
        assert len(store.costs()) == len(store.records()) == SAMPLES


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as the commands that are started here have: another number rounds differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return as soon as the condition holds; the process has to live until then."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


@pytest.mark.usefixtures("one_thread")
def test_the_command_killed_goes_on_when_given_again(tmp_path: Path) -> None:
    results = tmp_path / "results"
    words = ["bench", "geneval", "--seeds", "3", "--limit", "12", "--batch", "1", "--device", "cpu"]
    program = [sys.executable, "-c", "from hypernoise.cli import main; main()"]
    command = [*program, *words, "--results", str(results)]

    def finished() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in results.glob("runs/*/records/*.jsonl")}

    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: len(finished()) > 2, process)
        process.kill()
    before = finished()
    assert 2 < len(before) < 36
    again = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    assert again.stderr == ""
    assert "12 prompts × 3 seeds" in again.stdout
    assert before.items() <= finished().items()

    run_bench(Request("geneval", "shapes", ["base"], "3", 12, 1, None, [], [], 1, "cpu"), tmp_path / "other")
    (run,) = (results / "runs").iterdir()
    assert kept(run) == kept(tmp_path / "other" / "runs" / run.name)
    assert len(kept(run)) == 2 * 36
