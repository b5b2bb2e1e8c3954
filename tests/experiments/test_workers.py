"""`hn bench --workers`: Ray's actors leave what one process leaves, also when they die, and say what they cannot do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from hypernoise.experiments.bench import Request, run_bench
from hypernoise.experiments.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = [sys.executable, "-c", "from hypernoise.cli import main; main()"]
BENCH = ["bench", "geneval", "--seeds", "3", "--limit", "12", "--batch", "1", "--device", "cpu"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "RAY_ADDRESS": "local"}


@pytest.fixture
def _ray() -> None:
    pytest.importorskip("ray", reason="Ray, an extra, is not installed")
    if not Path("/proc/self/stat").exists():
        pytest.skip("processes are found in /proc")
    if (os.cpu_count() or 1) < 2:
        pytest.skip("two workers need two processor cores")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as the workers have: another number rounds differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def descendants(process: int) -> dict[int, str]:
    """The processes that came from one, with their command lines."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: set[int] = set()
    while new := {pid for pid, parent in parents.items() if parent in found | {process}} - found:
        found |= new
    return {pid: command_line(pid) for pid in found}


def command_line(process: int) -> str:
    try:
        return (Path("/proc") / str(process) / "cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def at_work(process: int) -> list[int]:
    """Ray's actors that do a piece right now."""
    return [pid for pid, line in descendants(process).items() if line.startswith("ray::Worker.work")]


def kept(folder: Path, contents: Callable[[Path], dict[str, bytes]]) -> dict[str, bytes]:
    return {
        name: data
        for name, data in contents(folder).items()
        if name.partition("/")[0] in ("records", "images")
    }


@pytest.fixture
def deadly(tmp_path: Path) -> dict[str, str]:
    """The environment in which a third party's method kills its process."""
    info = tmp_path / "installed" / "thirdparty-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hypernoise.methods]\ndeadly = thirdparty_deadly:Deadly\n")
    (info.parent / "thirdparty_deadly.py").write_text(
        "import os\n"
        "from hypernoise.methods import BaseSettings, Method\n"
        "class Deadly(Method):\n"
        "    name, presets = 'deadly', {'only': BaseSettings()}\n"
        "    def __init__(self, settings):\n"
        "        self.settings = settings\n"
        "    def __call__(self, batch):\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    return ENVIRONMENT | {"PYTHONPATH": f"{info.parent}:{os.environ.get('PYTHONPATH', '')}"}


@pytest.mark.usefixtures("_ray", "one_thread")
def test_of_two_workers_one_is_killed_and_later_a_method_kills_all(
    tmp_path: Path, deadly: dict[str, str], contents: Callable[[Path], dict[str, bytes]]
) -> None:
    results = tmp_path / "results"
    methods = ["--method", "base", "--method", "deadly"]
    words = [*PROGRAM, *BENCH, *methods, "--workers", "2", "--results", str(results)]

    def stored() -> int:
        return len(list(results.glob("runs/shapes-base-*/records/*.jsonl")))

    with subprocess.Popen(
        words, env=deadly, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while stored() < 3 or not at_work(process.pid):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        family = descendants(process.pid)
        os.kill(at_work(process.pid)[0], signal.SIGKILL)
        assert 3 <= stored() < 36
        errors = process.communicate()[1]
    assert process.returncode == 2
    assert re.fullmatch(
        r"hn: A worker has died 3 times over piece \d+, perhaps for want of memory: give fewer --workers or a smaller "
        r"--batch; what is stored stays\.\n",
        errors,
    )
    assert not [pid for pid, line in family.items() if line and command_line(pid) == line]

    run_bench(Request("geneval", "shapes", ["base"], "3", 12, 1, None, [], [], 1, "cpu"), tmp_path / "alone")
    (run,) = (RunStore(folder) for folder in (results / "runs").glob("shapes-base-*"))
    alone = RunStore(tmp_path / "alone" / "runs" / run.folder.name)
    assert kept(run.folder, contents) == kept(alone.folder, contents)
    assert len(kept(run.folder, contents)) == 2 * 36
    assert run.manifest() | {"started": ""} == alone.manifest() | {"started": ""}
    assert {cost["workers"] for cost in run.costs()} == {2}
    assert not list(run.folder.rglob("*.partial"))


def refused(words: list[str], environment: dict[str, str]) -> str:
    """The one sentence with which a command ends."""
    done = subprocess.run([*PROGRAM, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line.removeprefix("hn: ")


@pytest.mark.usefixtures("_ray")
def test_what_a_worker_cannot_write_is_said_in_its_own_sentence(tmp_path: Path) -> None:
    results = tmp_path / "results"
    run_bench(
        Request("geneval", "shapes", ["base"], "3", 12, 1, None, [], [], 1, "cpu"), tmp_path / "another"
    )
    (another,) = (tmp_path / "another" / "runs").iterdir()
    run = results / "runs" / another.name
    run.mkdir(parents=True)
    (run / "images").write_text("in the way")
    said = refused([*BENCH, "--results", str(results), "--workers", "2"], ENVIRONMENT)
    assert re.fullmatch(
        rf"{run}/images/\d+/\d+\.png cannot be written \(.+\); check the folder and .*\.", said
    )


@pytest.mark.usefixtures("_ray")
def test_more_workers_than_processors_are_refused(tmp_path: Path) -> None:
    said = refused([*BENCH, "--results", str(tmp_path), "--workers", "9999"], ENVIRONMENT)
    assert re.fullmatch(
        r"9999 workers need 9999 CPUs and Ray has \d+: give fewer --workers, or fewer threads to each by "
        r"OMP_NUM_THREADS\.",
        said,
    )


def test_without_ray_that_is_said(
    refusal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refusal(*BENCH, "--workers", 2, "--results", tmp_path)
    assert said == "--workers needs Ray, which is not installed: in the checkout, `pip install -e '.[ray]'`."
    assert list(tmp_path.iterdir()) == []
