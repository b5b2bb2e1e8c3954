"""The methods `hypernoise` and `lora-finetune` with an adapter, and what they say without a usable one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

from baselines.lora_finetune import LoraFinetune
from hypernoise.errors import HnError
from hypernoise.experiments.bench import Request, plan
from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.methods import AdapterSettings, Base, BaseSettings, Batch, HyperNoise, Sample, Spent
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.hypernetwork import NoiseHypernetwork

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.rewards.ensemble import Ensemble

SAMPLES = [Sample(0, 0), Sample(1, 3)]
PROMPTS = ["a photo of a ring", "a photo of a red circle and a blue star"]
CPU = torch.device("cpu")


@pytest.fixture
def own(generator: ShapesGenerator) -> ShapesGenerator:
    return copy.deepcopy(generator)


@pytest.fixture(scope="module")
def folder(generator: ShapesGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = NoiseHypernetwork.new(copy.deepcopy(generator), LoraSettings(4, 8.0, dense_depthwise=False), 0)
    random = torch.Generator().manual_seed(7)
    for name, parameter in network.adapter.parameters.items():
        if name.endswith("lora_B.weight"):
            parameter.data.add_(0.02 * torch.randn(parameter.shape, generator=random))
    path = tmp_path_factory.mktemp("adapter")
    network.adapter.save(path, {})
    return path


def batch_of(generator: ShapesGenerator, reward: Ensemble, steps: int = 1) -> Batch:
    condition, texts = generator.encode(PROMPTS), reward.encode(PROMPTS)
    return Batch(SAMPLES, condition, texts, generator, reward, steps, CPU)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_hypernoise_generates_from_modulated_noise_for_one_more_call(
    steps: int, own: ShapesGenerator, generator: ShapesGenerator, reward: Ensemble, folder: Path
) -> None:
    method = HyperNoise(AdapterSettings(str(folder)))
    assert method.attach(own) == method.attach(own) > 10_000
    outcome = method(batch_of(own, reward, steps))
    untouched = batch_of(generator, reward, steps)
    x0 = untouched.noise()
    with torch.no_grad():
        delta = NoiseHypernetwork.load(copy.deepcopy(generator), folder)(x0, untouched.condition)
        expected = untouched.generate(x0 + delta)
    assert torch.equal(outcome.images, expected)
    assert outcome.spent == Spent(nfe=steps + 1)
    assert not outcome.images.requires_grad


def test_base_after_both_methods_is_base(
    own: ShapesGenerator, generator: ShapesGenerator, reward: Ensemble, folder: Path
) -> None:
    images = {}
    for method in (HyperNoise(AdapterSettings(str(folder))), LoraFinetune(AdapterSettings(str(folder)))):
        method.attach(own)
        images[method.name] = method(batch_of(own, reward)).images
    base = Base(BaseSettings())
    images["base"] = base(batch_of(own, reward)).images
    assert torch.equal(images["base"], base(batch_of(generator, reward)).images)
    assert len({tensor.numpy().tobytes() for tensor in images.values()}) == 3


def test_fine_tuning_costs_no_more_calls(own: ShapesGenerator, reward: Ensemble, folder: Path) -> None:
    method = LoraFinetune(AdapterSettings(str(folder)))
    method.attach(own)
    assert method(batch_of(own, reward, 2)).spent == Spent(nfe=2)


def request(**changes: Any) -> Request:
    asked = {
        "benchmark": "geneval",
        "model": "shapes",
        "methods": ["hypernoise"],
        "seeds": "1",
        "limit": 2,
        "steps": 1,
        "suite": None,
        "rewards": [],
        "changes": [],
        "batch": 2,
        "device": "cpu",
    }
    return Request(**asked | changes)


def test_another_adapter_is_another_run(folder: Path, tmp_path: Path) -> None:
    def run_of(path: Path) -> str:
        plans, _, _ = plan(request(changes=[f"hypernoise.adapter={path}"]), CPU)
        return plans[0].settings.run

    other = tmp_path / "other"
    other.mkdir()
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    before = run_of(other)
    with (other / "adapter_config.json").open("a") as config:
        config.write("\n")
    assert run_of(other) != before


def test_a_missing_adapter_is_said_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HnError, match=r"no adapter folder .*missing"):
        plan(request(changes=[f"hypernoise.adapter={tmp_path / 'missing'}"]), CPU)
    monkeypatch.setattr(ShapesGenerator, "adapters", {})
    for method in ("hypernoise", "lora-finetune"):
        with pytest.raises(HnError, match=f"No {method} adapter comes with shapes: train one"):
            plan(request(methods=[method]), CPU)


@pytest.mark.parametrize(
    ("method", "kind", "sentence"),
    [
        (
            HyperNoise,
            "lora-finetune",
            "made by `hn train lora`, hypernoise needs one of `hn train hypernoise`",
        ),
        (
            LoraFinetune,
            "hypernoise",
            "made by `hn train hypernoise`, lora-finetune needs one of `hn train lora`",
        ),
    ],
)
def test_an_adapter_that_was_trained_for_the_other_method_is_refused(
    method: type[HyperNoise | LoraFinetune], kind: str, sentence: str
) -> None:
    other = method(AdapterSettings(ShapesGenerator.adapters[kind]))
    with pytest.raises(HnError, match=sentence):
        other.identity(ShapesGenerator)
