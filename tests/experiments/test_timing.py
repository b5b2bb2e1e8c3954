"""`hn time`: every method at every batch size, in multiples of base."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch

from baselines.best_of_n import BestOfN, BestOfNSettings
from baselines.reno import Reno, RenoSettings
from hypernoise.errors import HnError
from hypernoise.experiments import ablation
from hypernoise.experiments.ablation import OPTIMIZATIONS, Setting, reads_back, rereading
from hypernoise.experiments.bench import plan
from hypernoise.experiments.runner import Workbench
from hypernoise.experiments.timing import Cell, Stopwatch, Timed, measure
from hypernoise.methods import Base, BaseSettings, Sample
from hypernoise.registry import find
from hypernoise.rewards.ensemble import Ensemble
from hypernoise.rewards.redness import Redness
from hypernoise.tables.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hypernoise.experiments.bench import Request
    from hypernoise.generators.protocol import Encoded
    from hypernoise.methods import Method

METHODS = ["--method", "base", "--method", "hypernoise", "--method", "best-of-n", "--set", "best-of-n.n=3"]


def test_every_method_is_timed_at_every_batch_size(hn: Callable[..., list[str]], tmp_path: Path) -> None:
    words = ["--batches", "1,2", "--rounds", 2, "--device", "cpu", "--results", tmp_path]
    hn("time", "--model", "shapes", *METHODS, *words)
    frame = pd.read_csv(tmp_path / "shapes" / "timing.csv")
    names = ["base", "hypernoise", "best-of-n"]
    assert frame["method"].tolist() == names * 2
    assert frame["batch"].tolist() == [1] * 3 + [2] * 3
    assert frame["nfe"].tolist() == [1, 2, 3] * 2
    assert (frame["rounds"] == 2).all()
    assert (frame["seconds"] > 0).all()
    assert (frame["seconds_low"] <= frame["seconds"]).all()
    assert frame.loc[frame["method"] == "base", "times_base"].tolist() == [1.0, 1.0]
    text = (tmp_path / "shapes" / "timing.md").read_text()
    assert (frame["rewards"] == "shapes-match=1").all()
    assert (frame["device"] == "cpu").all()
    assert "a laboratory, not the paper's models" in text
    assert "Machine: system" in text


def test_every_optimization_is_switched_off_alone(
    hn: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["--method", "hypernoise-best-of-n", "--set", "hypernoise-best-of-n.n=2"]
    words = ["--batches", "2", "--rounds", 3, "--ablate", "--device", "cpu", "--results", tmp_path]
    monkeypatch.setattr(ablation, "SHORTEST", 0)
    hn("time", "--model", "shapes", *METHODS, *both, *words)
    frame = pd.read_csv(tmp_path / "shapes" / "ablation.csv")
    assert list(frame) == [
        "optimization",
        "method",
        "seconds_off",
        "seconds_on",
        "ratio",
        "ratio_low",
        "ratio_high",
        "model",
        "batch",
        "rewards",
        "system",
        "processor",
        "cores",
        "threads",
        "device",
        "memory",
        "networks",
    ]
    assert "Batch 2. 3 rounds, steps: 1. Machine: system" in (tmp_path / "shapes" / "ablation.md").read_text()
    rows = list(zip(frame["optimization"], frame["method"], strict=True))
    assert rows == [
        (optimization.name, method)
        for optimization in OPTIMIZATIONS
        for method in ("base", "hypernoise", "best-of-n", "hypernoise-best-of-n")
        if not optimization.compiled
        if not optimization.methods or method in optimization.methods
    ]
    assert {"merged adapter", "values not read back"} <= {
        optimization for optimization, method in rows if method == "hypernoise-best-of-n"
    }
    assert (frame["ratio_low"] <= frame["ratio"]).all()
    assert (frame["ratio"] <= frame["ratio_high"]).all()
    assert not (tmp_path / "runs").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["shapes"]


class Counting(Redness):
    """A reward that keeps which prompts it was asked to read, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[str]] = []

    def encode(self, prompts: Sequence[str]) -> Encoded:
        self.read.append(list(prompts))
        return super().encode(prompts)


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        (Base(BaseSettings()), 0),
        (BestOfN(BestOfNSettings(3)), 3),
        (Reno(RenoSettings(iterations=3, learning_rate=0.1)), 3),
    ],
)
def test_what_is_switched_off_makes_the_same_images(
    workbench: Workbench, small_request: Request, tmp_path: Path, method: Method, calls: int
) -> None:
    (only,), prompts, _ = plan(small_request, torch.device("cpu"))
    reward = Counting()
    bench = Workbench("shapes", {"redness": 1.0}, workbench.benchmark, "shapes", torch.device("cpu"))
    vars(bench).update(generator=workbench.generator, reward=Ensemble([(reward, 1.0)]))
    samples = [Sample(prompt.index, seed) for prompt in prompts[:2] for seed in (0, 1)]
    setting = Setting(replace(only, method=method), bench, prompts, samples, tmp_path)
    images = setting.make().images
    assert [len(read) for read in reward.read] == [2]
    reward.read.clear()
    torch.testing.assert_close(reads_back(rereading(setting)).make().images, images, rtol=1e-4, atol=1e-4)
    assert [len(read) for read in reward.read] == [4] * calls
    singly = [replace(setting, samples=[sample]).make().images for sample in samples]
    torch.testing.assert_close(torch.cat(singly), images, rtol=1e-3, atol=1e-4)


def test_the_best_batch_is_the_last_that_gains(workbench: Workbench, small_request: Request) -> None:
    (only,), prompts, _ = plan(small_request, torch.device("cpu"))
    samples = [Sample(0, seed) for seed in range(40)]

    class Scripted(Stopwatch):
        """A machine of known speed, on which 16 images are too many."""

        def __call__(self, cell: Cell) -> tuple[float, float, float | None]:
            if cell.batch == 16:
                raise torch.OutOfMemoryError
            return seconds[cell.batch], 1, None

    watch = Scripted(workbench, prompts, samples, 1)
    seconds = {1: 8.0, 2: 4.0, 4: 2.0, 8: 1.95, 16: 1.0}
    assert watch.best_batch(only) == 4
    seconds[8] = 1.0
    assert watch.best_batch(only) == 8
    watch.samples = samples[:5]
    assert watch.best_batch(only) == 4
    with pytest.raises(
        HnError, match=r"^base at batch 16 does not fit in the memory of cpu; give smaller --batch"
    ):
        measure([Cell(only, 1), Cell(only, 16)], watch, 1)


def test_the_best_batch_is_printed_and_timed(hn: Callable[..., list[str]], tmp_path: Path) -> None:
    words = ["--batches", "1,best", "--rounds", 1, "--device", "cpu", "--results", tmp_path]
    (line,) = (line for line in hn("time", "--model", "shapes", *words) if line.startswith("Best batch: "))
    found = int(line.split()[2])
    assert line == f"Best batch: {found} (base {found})"
    assert set(pd.read_csv(tmp_path / "shapes" / "timing.csv")["batch"]) == {1, found}


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down between rounds does not change them."""
    timed = [
        Timed("base", "paper", {}, 1, (1.0, 2.0, 10.0), 1, None),
        Timed("reno", "paper", {}, 1, (3.0, 6.0, 30.0), 50, 12.0),
    ]
    frame = Timing("shapes", 1, {"redness": 1.0}, timed, {}).frame()
    assert frame["times_base"].tolist() == [1.0, 3.0]
    assert frame["seconds"].tolist() == [2.0, 6.0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "hypernoise"], "The first method must be base: "),
        (
            ["--batches", "1,x"],
            "--batches is '1,x' but must be whole numbers from 1 on, such as 1,40 or 1,best.",
        ),
        (["--batches", "0"], "--batches is '0' but must be whole numbers from 1 on, such as 1,40 or 1,best."),
        (
            ["--ablate", "--benchmark", "diversity"],
            "diversity compares the images of a prompt, so judging them ",
        ),
        (["--batches", "5000"], "There are 1200 samples but a batch of 5000: ask for at most 1200."),
    ],
)
def test_what_cannot_be_timed_is_refused(
    refusal: Callable[..., str], tmp_path: Path, words: list[str], sentence: str
) -> None:
    assert refusal("time", *words, "--results", tmp_path).startswith(sentence)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["hypernoise", "lora-finetune"])
def test_a_training_step_that_reads_at_every_call_is_the_same_step(
    workbench: Workbench, small_request: Request, tmp_path: Path, method: str
) -> None:
    request = replace(small_request, methods=[method])
    (only,), prompts, _ = plan(request, torch.device("cpu"))
    samples = [Sample(prompt.index, 0) for prompt in prompts[:2]]
    generator = find("model", "shapes").load(torch.device("cpu"))
    reward = Counting()
    bench = Workbench("shapes", {"redness": 1.0}, workbench.benchmark, "shapes", torch.device("cpu"))
    vars(bench).update(generator=generator, reward=Ensemble([(reward, 1.0)]))
    setting = Setting(only, bench, prompts, samples, tmp_path)
    weights, reads = [], []
    for step in (setting.trained, setting.trained_rereading):
        reward.read.clear()
        step()
        step()
        reads.append(len(reward.read))
        weights.append([weight.detach() for weight in step.optimization.parameters])
        assert step.optimization.step == 2
        assert step.optimization.skipped == 0
    assert reads == [2, 2]
    for once, at_every_call in zip(*weights, strict=True):
        torch.testing.assert_close(at_every_call, once, rtol=1e-3, atol=1e-5)


def test_compiled_networks_are_switched_off_where_there_are_any(
    small_request: Request, tmp_path: Path
) -> None:
    (only,), prompts, benchmark = plan(small_request, torch.device("cpu"))
    found = []
    for compiled in (False, True):
        bench = Workbench("shapes", {}, benchmark, "shapes", torch.device("cpu"), compiled=compiled)
        setting = Setting(only, bench, prompts, [], tmp_path)
        found.append({each.name for each in OPTIMIZATIONS if each.applies(setting)})
    assert found[1] - found[0] == {"compiled"}
    assert found[0] - found[1] == set()
