"""Runs that are killed: a program of its own for test_kill.py, because it forks. Usage: killed_runs.py FOLDER SEED.

The first run is undisturbed and loads the models. Every other is done by a forked child, while the parent watches; what
it saw is printed as one line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hypernoise.errors import HnError
from hypernoise.experiments.bench import Request, plan
from hypernoise.experiments.plan import pieces
from hypernoise.experiments.runner import Job, Workbench, execute
from hypernoise.experiments.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable

CPU = torch.device("cpu")
REQUEST = Request("geneval", "shapes", ["best-of-n"], "2", 6, 1, None, [], ["best-of-n.n=2"], 3, "cpu")
REFUSED = 3
KILLS = 100
"""At random instants, of as many runs as it takes."""

(PLAN,), PROMPTS, BENCHMARK = plan(REQUEST, CPU)
BENCH = Workbench("shapes", PLAN.settings.rewards, BENCHMARK, "shapes", CPU)


def job(folder: Path) -> Job:
    """The run, in a folder."""
    return Job(PLAN.settings, PROMPTS, BENCH, PLAN.method, RunStore(folder))


def nothing(_: int) -> None:
    """Nobody watches the progress."""


def start(folder: Path, advance: Callable[[int], None] = nothing, kill_at_write: int | None = None) -> int:
    """Fork a child that does the run in `folder`, and return its process number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        if kill_at_write is not None:
            kill_in_write(kill_at_write)
        execute(job(folder), advance)
        status = 0
    except HnError:
        status = REFUSED
    except BaseException:  # the child must never go on as its parent
        traceback.print_exc()
    finally:
        os._exit(status)


def kill_in_write(number: int) -> None:
    """Let this process die in its n-th write from now, when half of the file is on the disk."""
    count = 0

    def die(descriptor: Any) -> None:
        nonlocal count
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return
        count += 1
        if count == number:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = die


def ended(child: int) -> int:
    """How a child ended: its exit code, or minus the number of the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at_random(folder: Path, delays: random.Random, piece_seconds: float) -> int:
    """Kill the run after random delays until it is done; how often that was."""
    longest, kills = piece_seconds, 0
    while True:
        child = start(folder)
        time.sleep(delays.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        status = ended(child)
        if status == 0:
            return kills
        if status != -signal.SIGKILL:
            raise SystemExit(f"a resumed run ended with {status}")
        kills += 1
        longest *= 1.03  # so that it ends also where the machine is slow


def kill_at_every_write(folder: Path) -> list[list[int]]:
    """For every write of a run: kill it there, resume it; both endings."""
    endings: list[list[int]] = []
    while not endings or endings[-1][0] != 0:
        run = folder / str(len(endings) + 1)
        endings.append([ended(start(run, kill_at_write=len(endings) + 1)), ended(start(run))])
    return endings


def two_at_once(folder: Path) -> list[int]:
    """Start the run a second time in the midst of the first; both endings, the first one's first."""
    begun, may_go_on = os.pipe(), os.pipe()

    def hold(_: int) -> None:
        os.write(begun[1], b".")
        os.read(may_go_on[0], 1)

    first = start(folder, hold)
    os.read(begun[0], 1)
    second = ended(start(folder))
    os.write(may_go_on[1], b"." * 100)
    return [ended(first), second]


def main(folder: Path, seed: int) -> None:
    """Do all of it."""
    execute(job(folder / "undisturbed"), nothing)
    began = time.perf_counter()
    forked = ended(start(folder / "forked"))
    piece_seconds = (time.perf_counter() - began) / len(pieces(PROMPTS, PLAN.settings))
    delays = random.Random(seed)  # noqa: S311
    seen: dict[str, Any] = {
        "forked": forked,
        "two at once": two_at_once(folder / "two"),
        "writes": kill_at_every_write(folder / "writes"),
        "kills": [],
    }
    while sum(seen["kills"]) < KILLS:
        run = folder / "random" / str(len(seen["kills"]))
        seen["kills"].append(kill_at_random(run, delays, piece_seconds))
    print(json.dumps(seen))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
