"""One optimizer step of an adapter on a reward: by a noise hypernetwork (Algorithm 1) or by direct fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hypernoise.errors import HnError
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.objective import noise_loss
from hypernoise.noise.steering import STEERINGS, Steering, SteersNoise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accelerate import Accelerator

    from hypernoise.generators.protocol import Generator
    from hypernoise.noise.samples import Samples
    from hypernoise.noise.settings import TrainSettings
    from hypernoise.rewards.ensemble import Ensemble


@dataclass(frozen=True)
class Update:
    """What one optimizer step saw: batch means, the gradient's norm before clipping, and whether it was taken."""

    loss: float
    rewards: dict[str, float]
    delta_norm: float
    gradient_norm: float
    learning_rate: float
    taken: bool


def build_steering(kind: str, generator: Generator, settings: TrainSettings) -> Steering:
    """An untrained steering; `kind` is "hypernoise" or "lora"."""
    lora = LoraSettings(settings.rank, settings.alpha, settings.dense_depthwise)
    steering = STEERINGS[kind](generator, lora, settings.seed, checkpointing=settings.checkpointing)
    if isinstance(steering, SteersNoise):
        steering.max_gradient = settings.max_noise_gradient / settings.reward_divisor
    return steering


def _optimizer(parameters: list[torch.nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, settings.learning_rate, momentum=0.9)
    return torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=1e-4)


class Optimization:
    """An adapter being optimized: loss, gradients of all processes, and the step."""

    def __init__(
        self, steering: Steering, reward: Ensemble, settings: TrainSettings, accelerator: Accelerator
    ) -> None:
        self.steering, self.reward, self.settings, self.accelerator = steering, reward, settings, accelerator
        self.parameters = steering.adapter.trainable()
        self.optimizer = _optimizer(self.parameters, settings)
        self.step = 0
        self.skipped = 0

    def _loss(self, samples: Samples) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Equation 65's loss of some samples, and means over them."""
        with self.accelerator.autocast():
            images, delta = self.steering(samples.x0, samples.condition)
            parts = self.reward.parts(images, samples.texts)
        total = self.reward.weighted(parts)
        loss = noise_loss(delta, total, self.settings.temperature, self.settings.regularizer)
        norm = delta.detach().flatten(1).norm(dim=1).mean()
        means = {name: part.detach().mean() for name, part in parts.items()}
        return loss, {"loss": loss.detach(), "delta_norm": norm, **means}

    def _gather(self, seen: list[dict[str, torch.Tensor]]) -> dict[str, float]:
        """Means over micro-batches and processes; gradients too become means over processes."""
        means = torch.stack([torch.stack(list(each.values())) for each in seen]).mean(0)
        if self.accelerator.num_processes > 1:
            means = self.accelerator.reduce(means, "mean")
            for parameter in self.parameters:
                parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
        return dict(zip(seen[0], means.tolist(), strict=True))

    def update(self, micro_batches: Sequence[Samples]) -> Update:
        """One optimizer step on the mean loss of some micro-batches; left out where a gradient is not finite."""
        rate = self.settings.rate_at(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        seen = []
        for samples in micro_batches:
            loss, means = self._loss(samples)
            (loss / len(micro_batches)).backward()
            seen.append(means)
        means_of = self._gather(seen)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.max_grad_norm))
        if self.step == 0 and norm == 0:
            raise HnError(
                "The first step's gradient is zero everywhere: this reward cannot train this adapter."
            )
        taken = bool(np.isfinite(norm))
        if taken:
            self.optimizer.step()
        self.skipped += not taken
        self.step += 1
        return Update(means_of.pop("loss"), means_of, means_of.pop("delta_norm"), norm, rate, taken)

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, as plain data and tensors."""
        return {
            "weights": {name: tensor.detach() for name, tensor in self.steering.adapter.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "skipped": self.skipped,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.steering.adapter.load(state["weights"], "of the checkpoint")
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.skipped = state["step"], state["skipped"]
