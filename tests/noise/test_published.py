"""Noise predictions, losses, gradients and trained weights of the published HyperNoise, on its tiny SANA-Sprint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from stand_in_rewards import Conv
from tiny_sana import tiny_sana

from hypernoise.noise.hypernetwork import NoiseHypernetwork
from hypernoise.noise.optimization import Optimization, build_steering
from hypernoise.noise.samples import Samples
from hypernoise.noise.settings import TrainSettings
from hypernoise.rewards.ensemble import Ensemble
from hypernoise.rewards.redness import Redness

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.generators.sana_sprint import SanaSprint

ADAPTERS = (
    "A_default10",
    "C_inf_red_10",
    "D_adamw_rank2_6",
    "E_kl_nomod_4",
    "G_nogroup_10",
    "G_nogroup_10_currentstack",
)
TRAININGS = ("A_default10", "C_inf_red_10", "D_adamw_rank2_6", "G_nogroup_10")
"""The trials whose loss is equation 65's with the mean as regularizer; in E, delta is the noise itself."""


@dataclass(frozen=True)
class Published:
    """One published trial."""

    folder: Path
    name: str

    @property
    def trial(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "hypernoise.json").read_text())["trials"][self.name]
        return found

    @property
    def adapter(self) -> Path:
        return self.folder / f"{self.name}_adapter"

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / f"{self.name}_tensors.safetensors")

    def weights(self, when: str) -> dict[str, torch.Tensor]:
        """The adapter "init" or "final"."""
        stored = load_file(self.folder / f"{self.name}_lora.safetensors")
        return {k.removeprefix(f"{when}."): v for k, v in stored.items() if k.startswith(f"{when}.")}


@pytest.fixture
def tiny(golden: Path) -> SanaSprint:
    return tiny_sana(golden / "hypernoise" / "tiny_pipe")


@pytest.mark.parametrize("name", ADAPTERS)
def test_published_adapters_predict_the_published_noise(name: str, tiny: SanaSprint, golden: Path) -> None:
    published = Published(golden / "hypernoise", name)
    tensors = published.tensors
    condition = tiny.encode(["", ""])
    condition = type(condition)(
        {"embeddings": tensors["fixed_prompt_embeds"], "mask": tensors["fixed_prompt_mask"]}
    )
    x0 = tensors["fixed_latents"]
    with torch.no_grad():
        untouched = tiny.predict(x0, condition)
        delta = NoiseHypernetwork.load(tiny, published.adapter)(x0, condition)
        assert delta.abs().max() > 0.05
        torch.testing.assert_close(delta, tensors["fixed_pred_noise"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(untouched, tensors["fixed_base_output"], rtol=1e-5, atol=1e-5)
        assert torch.equal(tiny.predict(x0, condition), untouched)
        image = tiny.generate(x0 + delta, condition)
        if name != "E_kl_nomod_4":
            torch.testing.assert_close(image, tensors["fixed_image"], rtol=1e-5, atol=1e-5)


def _settings(trial: dict[str, Any], scale: float) -> TrainSettings:
    """The trial's settings for a loss, and with it gradients, that are smaller by the factor `scale`."""
    return TrainSettings(
        learning_rate=trial["lr"] * (scale if trial["optim"] == "sgd" else 1),
        optimizer=trial["optim"],
        max_grad_norm=trial["grad_clip"] / scale,
        temperature=scale,
        rank=trial["lora_rank"],
        alpha=trial["lora_alpha"],
        dense_depthwise=not trial["grouped_convs_excluded"],
        batch=trial["batch_size"],
        accumulation=trial["accumulation_steps"],
        warmup=trial["warmup_steps"],
        regularizer="mean",
        precision="fp32",
    )


@pytest.mark.parametrize("name", TRAININGS)
def test_trainings_take_the_published_steps(name: str, tiny: SanaSprint, golden: Path) -> None:
    published = Published(golden / "hypernoise", name)
    trial, tensors = published.trial, published.tensors
    scale = trial["reg_weight"] / 0.5  # the published loss is ours times this, at this temperature
    settings = _settings(trial, scale)
    rewards = {"Conv": Conv(golden / "hypernoise" / "conv_reward.safetensors"), "Redness": Redness()}
    reward = Ensemble([(rewards[each["name"]], each["weighting"]) for each in trial["rewards"]])
    steering = build_steering("hypernoise", tiny, settings)
    steering.adapter.load(published.weights("init"), name)
    optimization = Optimization(steering, reward, settings, Accelerator(cpu=True))
    for step, row in enumerate(trial["log"]):
        samples = Samples(
            tensors["init_latents"][step], tiny.encode(row["prompts"]), reward.encode(row["prompts"])
        )
        update = optimization.update([samples])
        assert update.taken
        assert update.learning_rate == pytest.approx(scale * row["lr"])
        assert -update.rewards["Conv"] == pytest.approx(row["Conv"], rel=1e-4)
        assert update.loss * scale == pytest.approx(row["total"], rel=1e-4)
        assert update.gradient_norm * scale == pytest.approx(row["grad_norm"], rel=1e-3)
    for key, tensor in published.weights("final").items():
        torch.testing.assert_close(steering.adapter.parameters[key].detach(), tensor, rtol=1e-3, atol=1e-4)
