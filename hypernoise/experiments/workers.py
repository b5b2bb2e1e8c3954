"""`hn bench --workers N`: pieces are done by N Ray actors, on this machine or on the cluster of RAY_ADDRESS.

An actor plans what the user typed just as the driver does, loads the models once, and is told one piece at a time by
its number. It writes the piece itself, so driver and actors share the results folder; the driver holds the run's lock.
"""

from __future__ import annotations

import importlib.util
import os
import platform
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hypernoise.errors import HnError
from hypernoise.experiments.environment import pick_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypernoise.experiments.bench import Request
    from hypernoise.experiments.plan import Piece
    from hypernoise.experiments.runner import Hands, Job

TRIES = 3
"""Workers that may die over the same piece."""


class Worker:
    """What a Ray actor is: an empty process until it is told to begin."""

    def begin(self, request: Request, results: Path, workers: int, threads: int, folder: Path) -> None:
        """Plan the runs; no model is loaded before the first piece.

        Raises:
            HnError: for the first thing that cannot be done here.
        """
        from hypernoise.experiments.bench import jobs  # noqa: PLC0415 - it imports this module

        os.chdir(folder)
        torch.set_num_threads(threads)
        self.jobs = {job.settings.run: job for job in jobs(request, results, workers)}

    def manifest(self, run: str) -> dict[str, Any]:
        """What a run is, if it begins here and now."""
        return self._job(run).manifest()

    def work(self, run: str, piece: int) -> None:
        """Do one piece."""
        job = self._job(run)
        for _ in job.work([job.planned[piece]]):
            pass

    def _job(self, run: str) -> Job:
        if run not in self.jobs:
            raise HnError(
                f"On {platform.node()} the same command is another run: libraries or weights have other versions "
                "there; install the same ones on every machine."
            )
        return self.jobs[run]


def _answer(future: Any) -> Any:
    """What an actor's method returns, or the sentence with which it refused."""
    import ray  # noqa: PLC0415

    try:
        return ray.get(future)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, HnError):
            raise error.cause from None
        raise


class Crew:
    """The actors: hired when there is a first piece to do, so that finished runs start no Ray."""

    def __init__(self, request: Request, results: Path, workers: int) -> None:
        if importlib.util.find_spec("ray") is None:
            raise HnError(
                "--workers needs Ray, which is not installed: in the checkout, `pip install -e '.[ray]'`."
            )
        device, self.threads = pick_device(request.device).type, torch.get_num_threads()
        self.workers = workers
        self.needs = {"CPU": 1, "GPU": 1} if device == "cuda" else {"CPU": self.threads}
        self.beginning = (replace(request, device=device), results, workers, self.threads, Path.cwd())
        self.idle: list[Any] = []
        self.busy: dict[Any, tuple[Any, int | None]] = {}
        self.deaths: Counter[int | None] = Counter()

    def manifest(self, run: str) -> dict[str, Any]:
        """What a run is, if it begins now, as the first actor that is ready says."""
        self._start()
        while not self.idle:
            self._next()
        manifest: dict[str, Any] = _answer(self.idle[0].manifest.remote(run))
        return manifest

    def work(self, run: str, pieces: Sequence[int]) -> Iterator[int]:
        """Do the pieces of these numbers, and give each back when it is stored; a dead actor's is done again.

        Raises:
            HnError: if actors keep dying, or for what a job's work raises.
        """
        queue = deque(pieces)
        self.deaths.clear()
        if queue:
            self._start()
        while queue or any(number is not None for _, number in self.busy.values()):
            while queue and self.idle:
                actor, number = self.idle.pop(), queue.popleft()
                self.busy[actor.work.remote(run, number)] = actor, number
            asked, finished = self._next()
            if finished and asked is not None:
                yield asked
            elif asked is not None:
                queue.appendleft(asked)  # at once, so that a piece that kills every worker ends the run soon

    def _start(self) -> None:
        """Start Ray, or find it running, and hire all.

        Raises:
            HnError: if it cannot be reached, or has too few processors.
        """
        import ray  # noqa: PLC0415

        if self.idle or self.busy:
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
        try:
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
        except ConnectionError:
            raise HnError(
                f"Ray cannot be reached at RAY_ADDRESS={os.environ.get('RAY_ADDRESS')}: check that it runs there and "
                "that RAY_AUTH_MODE is the cluster's (token, or disabled), or unset RAY_ADDRESS to work here alone."
            ) from None
        for resource, each in self.needs.items():
            there = ray.cluster_resources().get(resource, 0)
            if there < each * self.workers:
                raise HnError(
                    f"{self.workers} workers need {each * self.workers} {resource}s and Ray has {there:g}: give fewer "
                    "--workers, or fewer threads to each by OMP_NUM_THREADS."
                )
        for _ in range(self.workers):
            self._hire()

    def _hire(self) -> None:
        import ray  # noqa: PLC0415

        kind = ray.remote(num_cpus=self.needs["CPU"], num_gpus=self.needs.get("GPU", 0))(Worker)
        actor = kind.remote()
        self.busy[actor.begin.remote(*self.beginning)] = actor, None

    def _next(self) -> tuple[int | None, bool]:
        """Wait for an actor: the number of the piece that it was doing, if any, and whether it lived to finish it."""
        import ray  # noqa: PLC0415

        (future,), _ = ray.wait(list(self.busy))
        actor, number = self.busy.pop(future)
        try:
            _answer(future)
        except ray.exceptions.RayActorError:
            self.deaths[number] += 1
            if self.deaths[number] == TRIES:
                doing = "while it began" if number is None else f"over piece {number}"
                raise HnError(
                    f"A worker has died {TRIES} times {doing}, perhaps for want of memory: give fewer --workers or a "
                    "smaller --batch; what is stored stays."
                ) from None
            self._hire()
            return number, False
        self.idle.append(actor)
        return number, True

    def dismiss(self) -> None:
        """End the actors, and Ray where it was started for them."""
        import ray  # noqa: PLC0415

        ray.shutdown()


@dataclass(frozen=True)
class Shift:
    """A crew at work on one job."""

    crew: Crew
    job: Job

    def manifest(self) -> dict[str, Any]:
        """As an actor would begin it."""
        return self.crew.manifest(self.job.settings.run)

    def work(self, todo: Sequence[Piece]) -> Iterator[Piece]:
        """Done by actors, in the order in which they finish."""
        for number in self.crew.work(self.job.settings.run, [piece.number for piece in todo]):
            yield self.job.planned[number]


@contextmanager
def crew(request: Request, results: Path, workers: int) -> Iterator[Callable[[Job], Hands]]:
    """Gives for each of the request's jobs who does its pieces: Ray's actors, or the job itself if it is alone.

    Raises:
        HnError: if there is no Ray for several.
    """
    if workers == 1:
        yield lambda job: job
        return
    hired = Crew(request, results, workers)
    try:
        yield partial(Shift, hired)
    finally:
        hired.dismiss()
