"""Training of adapters on the embedded world: what it learns, which samples it sees, and how it survives."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from hypernoise.errors import HnError
from hypernoise.generators.protocol import AMPLE, Memory
from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.noise.optimization import Optimization, build_steering
from hypernoise.noise.samples import Drawing
from hypernoise.noise.settings import PRESETS, TrainSettings
from hypernoise.noise.training import TrainRequest, preset_of, run_training
from hypernoise.rewards.ensemble import Ensemble
from hypernoise.rewards.redness import Redness

if TYPE_CHECKING:
    from pathlib import Path


SETTINGS = TrainSettings(
    learning_rate=2e-3,
    optimizer="adamw",
    rank=4,
    alpha=8.0,
    dense_depthwise=False,
    batch=4,
    accumulation=1,
    precision="fp32",
)
PROMPTS = ["a photo of a ring", "a photo of a star", "a photo of a blue moon", "a photo of two hearts"]


@pytest.fixture(scope="module")
def redness() -> Ensemble:
    return Ensemble([(Redness(), 100.0)])


@pytest.fixture
def own(generator: ShapesGenerator) -> ShapesGenerator:
    return copy.deepcopy(generator)


def optimization(
    kind: str, generator: ShapesGenerator, reward: Ensemble, settings: TrainSettings = SETTINGS
) -> Optimization:
    return Optimization(build_steering(kind, generator, settings), reward, settings, Accelerator(cpu=True))


def parameters(one: Optimization) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in one.parameters]


@pytest.mark.parametrize(
    ("kind", "model", "preset"),
    [
        ("hypernoise", "sana", "table4-sana-sprint"),
        ("hypernoise", "sd-turbo", "table4-sd-turbo"),
        ("hypernoise", "flux", "table4-flux-schnell"),
        ("hypernoise", "somebody-elses", "table4-sana-sprint"),
        ("lora", "flux", "table4-sana-sprint"),
        ("lora", "shapes", "shapes"),
    ],
)
def test_a_model_is_trained_as_the_paper_trains_it(kind: str, model: str, preset: str) -> None:
    assert preset_of(kind, model) == PRESETS[kind][preset]


@pytest.mark.parametrize("kind", ["hypernoise", "lora"])
def test_a_few_steps_raise_the_reward(kind: str, own: ShapesGenerator, redness: Ensemble) -> None:
    one, drawing = optimization(kind, own, redness), Drawing(own, redness, PROMPTS, SETTINGS)
    same = drawing.micro_batches(0, 0, 1)
    seen = [one.update(same) for _ in range(12)]
    assert seen[-1].rewards["redness"] > seen[0].rewards["redness"] + 0.005
    assert seen[0].delta_norm == 0
    assert (seen[-1].delta_norm > 0) == (kind == "hypernoise")


def test_the_regularizer_keeps_delta_short(own: ShapesGenerator, redness: Ensemble) -> None:
    norms = {}
    for temperature in (0.1, 100.0):
        settings = replace(SETTINGS, temperature=temperature)
        one = optimization("hypernoise", copy.deepcopy(own), redness, settings)
        drawing = Drawing(own, redness, PROMPTS, settings)
        norms[temperature] = [one.update(drawing.micro_batches(s, 0, 1)) for s in range(12)][-1].delta_norm
    assert norms[0.1] > 2 * norms[100.0] > 0


@pytest.mark.parametrize("limit", [0.0, 2.0])
def test_accumulated_micro_batches_are_one_large_batch(
    own: ShapesGenerator, redness: Ensemble, limit: float
) -> None:
    other, settings = copy.deepcopy(own), replace(SETTINGS, max_noise_gradient=limit)
    whole = optimization("hypernoise", own, redness, settings)
    whole.update(Drawing(own, redness, PROMPTS, settings).micro_batches(0, 0, 1))
    halves = replace(settings, batch=2, accumulation=2)
    parts = optimization("hypernoise", other, redness, halves)
    parts.update(Drawing(other, redness, PROMPTS, halves).micro_batches(0, 0, 1))
    for one, two in zip(parameters(whole), parameters(parts), strict=True):
        torch.testing.assert_close(one, two, atol=2e-5, rtol=0)


def pulls(own: ShapesGenerator, reward: Ensemble, limit: float) -> torch.Tensor:
    """Norms of the gradients of each sample's reward by its modulated noise, [B]."""
    settings = replace(SETTINGS, max_noise_gradient=limit)
    steering = build_steering("hypernoise", copy.deepcopy(own), settings)
    steering.adapter.trainable()
    (samples,) = Drawing(own, reward, PROMPTS, settings).micro_batches(0, 0, 1)
    images, delta = steering(samples.x0, samples.condition)
    value = reward.weighted(reward.parts(images, samples.texts)).mean() / settings.temperature
    (gradient,) = torch.autograd.grad(value, delta)
    return gradient.flatten(1).norm(dim=1) * settings.reward_divisor


def test_no_samples_reward_pulls_its_noise_harder_than_the_limit(
    own: ShapesGenerator, redness: Ensemble
) -> None:
    free = pulls(own, redness, 0.0)
    limit = float(free.median())
    assert free.max() > 1.01 * limit
    assert torch.equal(pulls(own, redness, 100 * limit), free)
    torch.testing.assert_close(pulls(own, redness, limit), free.clamp(max=limit), rtol=1e-3, atol=0)


def test_checkpointing_changes_no_gradient(own: ShapesGenerator, redness: Ensemble) -> None:
    gradients = {}
    for checkpointing in (False, True):
        settings = replace(SETTINGS, checkpointing=checkpointing)
        one = optimization("hypernoise", copy.deepcopy(own), redness, settings)
        drawing = Drawing(own, redness, PROMPTS, settings)
        for step in range(3):
            one.update(drawing.micro_batches(step, 0, 1))
        gradients[checkpointing] = [parameter.grad for parameter in one.parameters]
    for plain, again in zip(gradients[False], gradients[True], strict=True):
        assert plain.any()
        assert torch.equal(plain, again)


def test_a_step_whose_gradient_is_not_a_number_is_skipped_and_counted(
    own: ShapesGenerator, redness: Ensemble
) -> None:
    one, drawing = optimization("hypernoise", own, redness), Drawing(own, redness, PROMPTS, SETTINGS)
    one.update(drawing.micro_batches(0, 0, 1))
    before = parameters(one)
    (good,) = drawing.micro_batches(1, 0, 1)
    poisoned = replace(good, x0=good.x0 * torch.nan)
    assert not one.update([poisoned]).taken
    assert (one.step, one.skipped) == (2, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, parameters(one), strict=True))
    assert one.update([good]).taken


def test_a_reward_without_gradient_is_refused(own: ShapesGenerator) -> None:
    class Constant(Redness):
        def score(self, images: torch.Tensor, text: Any) -> torch.Tensor:
            return 0 * super().score(images, text)

    reward = Ensemble([(Constant(), 1.0)])
    one = optimization("lora", own, reward)
    with pytest.raises(HnError, match="gradient is zero everywhere"):
        one.update(Drawing(own, reward, PROMPTS, SETTINGS).micro_batches(0, 0, 1))


def test_every_prompt_comes_once_an_epoch_in_an_order_of_its_own(
    own: ShapesGenerator, redness: Ensemble
) -> None:
    prompts = [f"a photo of a star {number}" for number in range(40)]
    drawing = Drawing(own, redness, prompts, SETTINGS)
    epochs = [[drawing.prompt_of(40 * epoch + place) for place in range(40)] for epoch in range(2)]
    assert all(sorted(epoch) == list(range(40)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_noise_policies(own: ShapesGenerator, redness: Ensemble) -> None:
    def noise(policy: str, step: int) -> torch.Tensor:
        drawing = Drawing(own, redness, PROMPTS, replace(SETTINGS, noise=policy))
        return drawing.micro_batches(step, 0, 1)[0].x0

    def distinct(x0: torch.Tensor) -> int:
        return len({tuple(row.flatten().tolist()) for row in x0})

    assert distinct(torch.cat([noise("fresh", 0), noise("fresh", 1)])) == 8
    assert distinct(noise("batch", 0)) == distinct(noise("batch", 1)) == 1
    assert not torch.equal(noise("batch", 0), noise("batch", 1))
    assert distinct(torch.cat([noise("one", 0), noise("one", 1)])) == 1
    assert distinct(noise("multi", 0)) == 4
    assert torch.equal(noise("multi", 0), noise("multi", 1))


def test_processes_share_the_samples_of_a_step(own: ShapesGenerator, redness: Ensemble) -> None:
    drawing = Drawing(own, redness, PROMPTS, SETTINGS)
    two = [drawing.micro_batches(step, process, 2)[0].x0 for step in range(2) for process in range(2)]
    one = [drawing.micro_batches(step, 0, 1)[0].x0 for step in range(4)]
    assert torch.equal(torch.cat(two), torch.cat(one))


@pytest.mark.parametrize("kind", list(PRESETS))
def test_the_papers_tables_are_presets(kind: str) -> None:
    sana, redness = PRESETS[kind]["table4-sana-sprint"], PRESETS[kind]["table3-redness"]
    assert (sana.optimizer, sana.learning_rate, sana.rank, sana.alpha) == ("sgd", 1e-3, 128, 256)
    assert (sana.batch, sana.accumulation, sana.epochs, sana.max_grad_norm) == (18, 3, 25, 1.0)
    assert sana.steps(70_000, processes=6) == 5402
    assert (redness.batch, redness.epochs, redness.steps(30)) == (3, 200, 2000)
    assert redness.learning_rate == {"hypernoise": 1e-3, "lora": 1e-4}[kind]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimizer": "lion"}, "sgd, adamw"),
        ({"noise": "white"}, "fresh, batch, one, multi"),
        ({"regularizer": "max"}, "sum, mean"),
        ({"precision": "fp16"}, "fp32, bf16"),
        ({"rank": 0}, "at least 1"),
        ({"temperature": 0.0}, "above 0"),
        ({"learning_rate": float("inf")}, "finite"),
        ({"max_noise_gradient": -1.0}, "max_noise_gradient"),
    ],
)
def test_settings_are_checked(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SETTINGS, **change)


def request(output: Path, **changes: Any) -> TrainRequest:
    settings = {"batch": 4, "epochs": 0.025, "rank": 4, "checkpoint_every": 2, "evaluate_every": 4}
    asked = {
        "kind": "hypernoise",
        "model": "shapes",
        "preset": None,
        "prompts": ["shapes-train"],
        "rewards": [],
        "changes": [f"{name}={value}" for name, value in settings.items()],
        "output": output,
        "device": "cpu",
        "allow_overlap": False,
    }
    return TrainRequest(**asked | changes)


class Killed(BaseException):
    """Nothing in the product expects it, as nothing expects a kill."""


def test_a_killed_training_resumes_to_the_same_weights_and_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(request(tmp_path / "whole"))
    update = Optimization.update

    def dies_at_step_4(self: Optimization, micro_batches: Any) -> Any:
        if self.step == 4:
            raise Killed
        return update(self, micro_batches)

    monkeypatch.setattr(Optimization, "update", dies_at_step_4)
    with pytest.raises(Killed):
        run_training(request(tmp_path / "killed"))
    assert not (tmp_path / "killed" / "adapter_model.safetensors").exists()
    monkeypatch.undo()
    run_training(request(tmp_path / "killed"))

    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]

    def rows(name: str) -> list[dict[str, Any]]:
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]

    assert rows("whole") == rows("killed")
    assert [row["step"] for row in rows("whole") if "loss" in row] == list(range(1, 8))
    facts = json.loads((tmp_path / "whole" / "training.json").read_text())
    assert (facts["steps"], facts["skipped_steps"], facts["kind"]) == (7, 0, "hypernoise")
    assert facts["rewards"]
    assert (tmp_path / "whole" / "images" / "000004.png").stat().st_size > 0
    assert list((tmp_path / "whole" / "tensorboard").glob("events*"))


@pytest.mark.parametrize("kind", ["hypernoise", "lora"])
def test_checkpointing_trains_the_same_weights_and_tiling_others(kind: str, tmp_path: Path) -> None:
    memories = {"ample": AMPLE, "checkpointing": Memory(checkpointing=True), "tiling": Memory(tiling=True)}
    for name, memory in memories.items():
        run_training(request(tmp_path / name, kind=kind, memory=memory))
    ample, same, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in memories)
    torch.testing.assert_close(same, ample, rtol=1e-3, atol=1e-6)
    assert any((other[name] - ample[name]).abs().max() > 1e-5 for name in ample)
    facts = [json.loads((tmp_path / name / "training.json").read_text()) for name in memories]
    assert ["tiling" in each for each in facts] == [False, False, True]
    with pytest.raises(HnError, match="on a CPU, leave it out"):
        run_training(request(tmp_path / "out", memory=Memory(offload=True)))


def test_a_checkpoint_that_is_damaged_or_anothers_is_refused(tmp_path: Path) -> None:
    run_training(request(tmp_path / "one"))
    other = request(tmp_path / "one")
    with pytest.raises(HnError, match="other settings"):
        run_training(replace(other, changes=[*other.changes, "seed=1"]))
    (tmp_path / "one" / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(HnError, match="cannot be read; delete it"):
        run_training(other)


def test_evaluation_prompts_are_refused_unless_the_user_insists(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join([*(f"prompt {n}" for n in range(40)), "a photo of a circle"]))
    with pytest.raises(HnError, match="--allow-overlap"):
        run_training(request(tmp_path / "out", prompts=[str(prompts)]))
    assert not (tmp_path / "out").exists()


def test_a_model_s_own_prompts_are_cleaned_of_evaluation_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join([*(f"a star left {n}" for n in range(40)), "a photo of a circle"]))
    monkeypatch.setattr(ShapesGenerator, "training_prompts", (str(prompts),))
    run_training(request(tmp_path / "out", prompts=[]))
    assert "Left out 1 training prompts that are also evaluation prompts." in capsys.readouterr().out
    facts = json.loads((tmp_path / "out" / "training.json").read_text())
    kept = hashlib.sha256("\n".join(f"a star left {n}" for n in range(16)).encode()).hexdigest()
    assert facts["prompts_sha256"] == kept


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preset": "table5"}, "no preset 'table5'"),
        ({"changes": ["rank"]}, "SETTING=VALUE"),
        ({"changes": ["ranks=3"]}, "did you mean 'rank'"),
        ({"changes": ["noise=white"]}, "fresh, batch, one, multi"),
        ({"changes": ["max_noise_gradient=4"], "kind": "lora"}, "max_noise_gradient must be 0"),
        ({"rewards": ["redness=x"]}, "NAME=WEIGHT"),
        ({"model": "shape"}, "did you mean 'shapes'"),
        ({"prompts": ["shapes-trian"]}, "shapes-train"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_before_anything_is_written(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(HnError, match=said):
        run_training(request(tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()
