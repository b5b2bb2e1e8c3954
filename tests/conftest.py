"""What several rooms of tests share. Models are loaded once a session: importing diffusers takes seconds."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypernoise.experiments.bench import Request
    from hypernoise.experiments.runner import Workbench
    from hypernoise.generators.shapes import ShapesGenerator
    from hypernoise.rewards.ensemble import Ensemble

GOLDEN = Path(__file__).parents[2] / "shared" / "golden"


@pytest.fixture(scope="session")
def generator() -> Iterator[ShapesGenerator]:
    """The embedded world's generator; a test that puts an adapter on it takes a copy."""
    import torch  # noqa: PLC0415

    from hypernoise.generators.shapes import ShapesGenerator  # noqa: PLC0415

    generator = ShapesGenerator.load(torch.device("cpu"))
    weights = generator.denoiser.state_dict().keys()
    yield generator
    assert generator.denoiser.state_dict().keys() == weights


@pytest.fixture(scope="session")
def reward() -> Ensemble:
    """The embedded world's reward, with weight 1."""
    import torch  # noqa: PLC0415

    from hypernoise.rewards.ensemble import Ensemble  # noqa: PLC0415

    return Ensemble.load({"shapes-match": 1.0}, torch.device("cpu"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """The published implementations' own outputs."""
    if not GOLDEN.is_dir():
        pytest.skip("the golden values of the published implementations are not beside this checkout")
    return GOLDEN


@pytest.fixture(scope="session")
def workbench(generator: ShapesGenerator, reward: Ensemble) -> Workbench:
    """A workbench for GenEval's shapes with its models loaded."""
    import torch  # noqa: PLC0415

    from hypernoise.experiments.bench import find_benchmark  # noqa: PLC0415
    from hypernoise.experiments.runner import Workbench  # noqa: PLC0415

    bench = Workbench(
        "shapes", reward.weights, find_benchmark("geneval", "shapes"), "shapes", torch.device("cpu")
    )
    vars(bench).update(generator=generator, reward=reward)
    return bench


@pytest.fixture(scope="session")
def small_request() -> Request:
    """A bench of five prompts and two seeds in three pieces, the last one smaller."""
    from hypernoise.experiments.bench import Request  # noqa: PLC0415

    return Request("geneval", "shapes", ["base"], "2", 5, 1, None, [], [], 4, "cpu")


@pytest.fixture(scope="session")
def _finished_results(small_request: Request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dataclasses import replace  # noqa: PLC0415

    from hypernoise.experiments.bench import run_bench  # noqa: PLC0415

    results = tmp_path_factory.mktemp("finished")
    run_bench(replace(small_request, methods=["base", "best-of-n"], changes=["best-of-n.n=2"]), results)
    return results


@pytest.fixture
def results(_finished_results: Path, tmp_path: Path) -> Path:
    """A results folder of one's own with the small bench of base and of best-of-2, finished."""
    return Path(shutil.copytree(_finished_results, tmp_path / "results"))


@pytest.fixture
def hn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Gives `hn` arguments and returns the lines of its standard output."""
    from hypernoise.cli import main  # noqa: PLC0415

    def call(*arguments: object) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["hn", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert (end.value.code, printed.err) == (0, "")
        return printed.out.splitlines()

    return call


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Gives `hn` arguments that it must refuse, and returns its one sentence."""
    from hypernoise.cli import main  # noqa: PLC0415

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["hn", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("hn: ")
        return line.removeprefix("hn: ")

    return call


@pytest.fixture
def fill_the_disk_for() -> Callable[[Path], None]:
    """Makes the next write to a path meet a full disk: what it writes first goes to the device that is always full."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")

    def fill(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.{os.getpid()}.partial").symlink_to(full)

    return fill


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Reads what a folder holds: the bytes of every file but the lock, by path."""

    def read(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    return read
