"""The tiny SD-Turbo and the stand-in rewards that the published ReNO was run with, behind our protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file
from stand_in_rewards import Conv, PreprocessedRedness

from hypernoise.generators.sd_turbo import SdTurbo
from hypernoise.methods import Batch, Sample
from hypernoise.rewards.ensemble import Ensemble

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hypernoise.rewards.protocol import Reward

CPU = torch.device("cpu")


@dataclass(frozen=True)
class GivenNoise(Batch):
    """A batch that starts from stored noise: `candidates` [N, B, *latent_shape]."""

    candidates: torch.Tensor

    def noise(self, candidate: int = 0) -> torch.Tensor:
        return self.candidates[candidate].clone()


class Published:
    """The published runs: their generator, rewards, settings and values."""

    def __init__(self, folder: Path, trials: Mapping[str, Any]) -> None:
        self.folder, self.trials = folder, trials
        self.generator = SdTurbo(StableDiffusionPipeline.from_pretrained(folder / "tiny_pipe"), CPU)
        self.rewards: dict[str, Reward] = {
            "Conv": Conv(folder / "conv_reward.safetensors"),
            "Redness": PreprocessedRedness(),
        }

    def tensors(self, trial: str) -> dict[str, torch.Tensor]:
        return load_file(self.folder / f"{trial}.safetensors")

    def batch(self, trial: str, candidates: torch.Tensor) -> Batch:
        """The trial's prompt and rewards, once for each noise of `candidates` [N, B, *latent_shape]."""
        settings = self.trials[trial]
        size = candidates.shape[1]
        prompts = [settings["prompt"]] * size
        ensemble = Ensemble([(self.rewards[r["name"]], r["weighting"]) for r in settings["rewards"]])
        return GivenNoise(
            [Sample(0, seed) for seed in range(size)],
            self.generator.encode(prompts),
            ensemble.encode(prompts),
            self.generator,
            ensemble,
            settings["num_inference_steps"],
            CPU,
            candidates,
        )
