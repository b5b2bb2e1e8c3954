"""The tiny Stable Diffusion and the stand-in rewards that the published ReNO was run with, behind our protocols."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from stand_in_rewards import Conv, PreprocessedRedness
from transformers import CLIPTextModel, CLIPTokenizer

from hypernoise.generators.protocol import Encoded
from hypernoise.methods import Batch, Sample
from hypernoise.rewards.ensemble import Ensemble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hypernoise.generators.protocol import StepNoise
    from hypernoise.rewards.protocol import Reward

CPU = torch.device("cpu")


class TinyStableDiffusion:
    """An untrained Stable Diffusion of a few thousand weights; its scheduler draws no noise."""

    name: ClassVar[str] = "tiny-stable-diffusion"
    world: ClassVar[str] = "golden"
    suites: ClassVar[tuple[str, ...]] = ()
    default_rewards: ClassVar[Mapping[str, float]] = {}
    training_prompts: ClassVar[tuple[str, ...]] = ()
    latent_shape: tuple[int, ...] = (4, 16, 16)
    parameters: int = 0

    def __init__(self, folder: Path) -> None:
        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        self.text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
        self.unet = UNet2DConditionModel.from_pretrained(folder / "unet").eval()
        self.vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
        self.scheduler = EulerDiscreteScheduler.from_pretrained(folder / "scheduler")
        for module in (self.text_encoder, self.unet, self.vae):
            module.requires_grad_(requires_grad=False)

    @classmethod
    def load(cls, device: torch.device) -> TinyStableDiffusion:
        raise NotImplementedError(device)

    @classmethod
    def weights(cls) -> dict[str, str]:
        return {}

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Encoded:
        tokens = self.tokenizer(
            list(prompts), padding="max_length", max_length=24, truncation=True, return_tensors="pt"
        )
        return Encoded({"embeddings": self.text_encoder(tokens.input_ids)[0], "tokens": tokens.input_ids})

    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        del step_noise
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # diffusers hands tensors to numpy
            self.scheduler.set_timesteps(steps)
        latents = x0 * self.scheduler.init_noise_sigma
        for timestep in self.scheduler.timesteps:
            scaled = self.scheduler.scale_model_input(latents, timestep)
            output = self.unet(scaled, timestep, encoder_hidden_states=condition.tensors["embeddings"]).sample
            latents = self.scheduler.step(output, timestep, latents).prev_sample
        image = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return (image / 2 + 0.5).clamp(0, 1)


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
        self.generator = TinyStableDiffusion(folder / "tiny_pipe")
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
