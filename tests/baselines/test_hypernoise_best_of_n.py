"""HyperNoise + Best-of-N: every candidate modulated and looked at, the best one kept."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from baselines.best_of_n import BestOfN, BestOfNSettings
from baselines.hypernoise_best_of_n import HyperNoiseBestOfN, HyperNoiseBestOfNSettings
from hypernoise.errors import HnError
from hypernoise.experiments.bench import Request, plan
from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.methods import AdapterSettings, HyperNoise, Sample, Spent
from hypernoise.noise.hypernetwork import NoiseHypernetwork
from hypernoise.tables.table1 import read_csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypernoise.methods import Batch

SAMPLES = [Sample(i % 3, i) for i in range(6)]
METHOD = "hypernoise-best-of-n"


@pytest.fixture(scope="module")
def own(generator: ShapesGenerator) -> ShapesGenerator:
    """A generator of its own, which adapters may be put on."""
    return copy.deepcopy(generator)


@pytest.fixture(scope="module")
def network(generator: ShapesGenerator) -> NoiseHypernetwork:
    """The bundled noise hypernetwork, on a third generator."""
    return NoiseHypernetwork.load(
        copy.deepcopy(generator), AdapterSettings().folder(ShapesGenerator, "hypernoise")
    )


@pytest.fixture
def best_of(own: ShapesGenerator) -> Callable[[int], HyperNoiseBestOfN]:
    def make(n: int) -> HyperNoiseBestOfN:
        method = HyperNoiseBestOfN(HyperNoiseBestOfNSettings(n=n))
        method.attach(own)
        return method

    return make


@pytest.mark.parametrize("steps", [1, 2])
def test_one_candidate_is_hypernoise(
    best_of: Callable[[int], HyperNoiseBestOfN],
    own: ShapesGenerator,
    batch_of: Callable[..., Batch],
    steps: int,
) -> None:
    batch = replace(batch_of(SAMPLES, steps), generator=own)
    alone = HyperNoise(AdapterSettings())
    alone.attach(own)
    outcome = best_of(1)(batch)
    assert torch.equal(outcome.images, alone(batch).images)
    assert outcome.spent == Spent(nfe=steps + 1, reward_forwards=1)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_image_of_the_highest_reward_is_kept(
    best_of: Callable[[int], HyperNoiseBestOfN],
    own: ShapesGenerator,
    network: NoiseHypernetwork,
    batch_of: Callable[..., Batch],
    steps: int,
) -> None:
    """Against the candidates of Best-of-N, each modulated by another copy of the network and drawn by another's."""
    batch = batch_of(SAMPLES, steps)
    with torch.no_grad():
        noises = [batch.noise(candidate) for candidate in range(5)]
        images = torch.stack([batch.generate(x0 + network(x0, batch.condition)) for x0 in noises])
        rewards = torch.stack([batch.reward.score(each, batch.texts) for each in images])
    best = rewards.argmax(0)
    assert len(best.unique()) > 1
    outcome = best_of(5)(replace(batch, generator=own))
    torch.testing.assert_close(outcome.images, images[best, torch.arange(len(SAMPLES))], atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.reward.score(outcome.images, batch.texts), rewards.amax(0))
    assert outcome.spent == Spent(nfe=5 * (steps + 1), reward_forwards=5)
    assert not outcome.images.requires_grad
    assert not torch.equal(outcome.images, BestOfN(BestOfNSettings(n=5))(batch).images)


def test_the_bench_runs_it_with_hypernoises_adapter_and_resumes(
    hn: Callable[..., list[str]], tmp_path: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    command = ["bench", "geneval", "--limit", 6, "--seeds", 1, "--results", tmp_path]
    methods = [f"--method={name}" for name in ("base", "hypernoise", METHOD)]
    hn(*command, *methods, "--set", f"{METHOD}.n=3")
    base, alone, ours = read_csv(tmp_path / "shapes" / "table1.csv")
    assert (base.nfe, alone.nfe, ours.method, ours.nfe) == (1, 2, METHOD, 6)
    assert ours.params_b == alone.params_b
    before = contents(tmp_path / "runs")
    (run,) = (tmp_path / "runs").glob(f"shapes-{METHOD}-*")
    (run / "records" / "00000.jsonl").unlink()
    hn(*command, "--method", METHOD, "--set", f"{METHOD}.n=3")
    after = contents(tmp_path / "runs")
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in before if "/costs/" not in name)


def test_a_model_without_an_adapter_is_told_which_setting_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShapesGenerator, "adapters", {})
    request = Request("geneval", "shapes", [METHOD], "1", 2, 1, None, [], [], 2, "cpu")
    sentence = f"No hypernoise adapter comes with shapes: .* --set {METHOD}.adapter=FOLDER"
    with pytest.raises(HnError, match=sentence):
        plan(request, torch.device("cpu"))


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ValueError, match="n must be"):
        HyperNoiseBestOfNSettings(n=0)
