"""The training loop on a toy: killed anywhere and started again, it ends as if nothing had happened."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from hypernoise.shapes.training.data import batches
from hypernoise.shapes.training.examples import example_batches
from hypernoise.shapes.training.loop import LoopSettings, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SETTINGS = LoopSettings(steps=60, seed=3, warmup=5, decay=0.5, ema=0.9, checkpoint_every=8)


class KilledError(Exception):
    """Stands for the end of the process."""


class Toy(nn.Module):
    """Matrices for Muon, an embedding and vectors for AdamW, and a buffer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.words = nn.Embedding(5, 12)
        self.layers = nn.Sequential(nn.Linear(12, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Linear(16, 12))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layers(self.words(tokens))
        return output


def batches_from(start: int) -> Iterator[torch.Tensor]:
    number = start
    while True:
        yield torch.randint(5, (8,), generator=torch.Generator().manual_seed(number))
        number += 1


class Run:
    """One training of a toy, which may be killed before its n-th step; notes what it was given."""

    def __init__(self, folder: Path, settings: LoopSettings = SETTINGS) -> None:
        self.folder, self.settings = folder, settings
        self.starts: list[int] = []
        self.seen: list[torch.Tensor] = []

    def __call__(
        self,
        seed: int = 0,
        kill_after: int | None = None,
        batches_from: Callable[[int], Iterator[torch.Tensor]] = batches_from,
    ) -> tuple[Toy, Toy]:
        toy = Toy(seed)
        steps = 0

        def loss_of(batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
            nonlocal steps
            if steps == kill_after:
                raise KilledError
            steps += 1
            self.seen.append(batch)
            target = torch.randn(len(batch), 12) + batch[:, None]  # draws from the global generator
            loss = (toy(batch) - target).square().mean()
            return loss, {"batch": float(batch.float().mean())}

        def noted(start: int) -> Iterator[torch.Tensor]:
            self.starts.append(start)
            return batches_from(start)

        return toy, train("toy", toy, loss_of, noted, self.settings, self.folder)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "toy.jsonl").read_text().splitlines()]


def assert_same(one: nn.Module, other: nn.Module) -> None:
    expected = other.state_dict()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("kills", [(3,), (13,), (16,), (45,), (20, 17, 9)], ids=str)
def test_a_killed_training_ends_as_an_undisturbed_one(tmp_path: Path, kills: tuple[int, ...]) -> None:
    module, average = Run(tmp_path / "undisturbed")()
    run = Run(tmp_path / "killed")
    for kill in kills:
        with pytest.raises(KilledError):
            run(seed=7, kill_after=kill)  # other initial weights: after a checkpoint they must not matter
    resumed, resumed_average = run(seed=0 if kills[0] < SETTINGS.checkpoint_every else 7)
    if kills[0] >= SETTINGS.checkpoint_every:
        undisturbed = Run(tmp_path / "same start")
        module, average = undisturbed(seed=7)
    assert_same(resumed, module)
    assert_same(resumed_average, average)


def test_every_step_gets_its_own_batch(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(KilledError):
        run(kill_after=20)
    run()
    assert run.starts == [0, 16]  # the last checkpoint is that of step 16
    stream = batches_from(0)
    expected = [next(stream) for _ in range(SETTINGS.steps)]
    assert len(run.seen) == 20 + SETTINGS.steps - 16
    assert all(map(torch.equal, run.seen, expected[:20] + expected[16:]))


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    run = Run(tmp_path)
    _, average = run()
    seen = len(run.seen)
    _, again = run(seed=9)
    assert len(run.seen) == seen
    assert_same(again, average)


@pytest.mark.parametrize("stream", [batches, example_batches])
def test_loading_in_another_process_leaves_the_random_numbers_alone(stream: Any) -> None:
    """A resumed training restores its random state and then opens the stream anew."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    next(stream(0, 1))
    assert torch.equal(torch.rand(3), expected)


def test_the_log_has_each_line_once(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=160, checkpoint_every=40)
    undisturbed, killed = Run(tmp_path / "a", settings), Run(tmp_path / "b", settings)
    undisturbed()
    with pytest.raises(KilledError):
        killed(kill_after=110)
    killed()
    assert [row["step"] for row in undisturbed.log()] == [50, 100, 150]
    assert all(set(row) == {"step", "seconds", "loss", "batch"} for row in undisturbed.log())
    assert [row["step"] for row in killed.log()] == [50, 100, 150]
    assert killed.log()[0]["loss"] == undisturbed.log()[0]["loss"]
    assert all(a["seconds"] <= b["seconds"] for a, b in zip(killed.log()[:-1], killed.log()[1:], strict=True))


def test_learning_reduces_the_loss_and_the_average_lags_behind(tmp_path: Path) -> None:
    run = Run(tmp_path, replace(SETTINGS, steps=300, ema=0.99, checkpoint_every=300))
    toy, average = run()
    assert run.log()[-1]["loss"] < 0.6 * run.log()[0]["loss"]
    assert not any(parameter.requires_grad for parameter in average.parameters())
    drift = [(a - b).abs().max() for a, b in zip(toy.parameters(), average.parameters(), strict=True)]
    assert 0 < max(drift) < 0.5


def test_rates_rise_stay_and_fall() -> None:
    settings = LoopSettings(steps=100, warmup=10, decay=0.4)
    rates = [settings.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:60] == [1.0] * 51
    assert rates[80] == pytest.approx(0.5)
    assert 0 < rates[99] == pytest.approx(1 / 40)


def test_frozen_parts_stay_as_they_are(tmp_path: Path) -> None:
    toy = Toy()
    toy.words.requires_grad_(requires_grad=False)
    before = toy.words.weight.clone()
    settings = replace(SETTINGS, steps=4)
    train("toy", toy, lambda batch: (toy(batch).square().mean(), {}), batches_from, settings, tmp_path)
    assert torch.equal(toy.words.weight, before)
