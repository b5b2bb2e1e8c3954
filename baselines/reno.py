"""ReNO: gradient ascent on the reward in the initial noise (Eyring et al. 2024; paper B.3 and equation 2).

Follows the published implementation: 50 evaluations and 49 updates, SGD with Nesterov momentum, gradient clipped
to a small norm, a regularizer that keeps the noise's length likely, and the image of the highest reward kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from hypernoise.methods import Outcome, Spent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernoise.methods import Batch


@dataclass(frozen=True)
class RenoSettings:
    """Defaults are the published ones; learning rate and clipping suit latents of some ten thousand dimensions."""

    iterations: int = 50
    learning_rate: float = 5.0
    momentum: float = 0.9
    nesterov: bool = True
    max_grad_norm: float = 0.1
    regularization: float = 0.01

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError("iterations must be at least 1")
        if self.learning_rate <= 0 or self.max_grad_norm <= 0:
            raise ValueError("learning_rate and max_grad_norm must be above 0")
        if not 0 <= self.momentum < 1 or self.regularization < 0:
            raise ValueError("momentum must be in [0, 1) and regularization at least 0")


def noise_regularizer(x: torch.Tensor) -> torch.Tensor:
    """Negative log density of the noise's norm, up to a constant: ½‖x‖² - (d - 1) log‖x‖, [B] from [B, ...]."""
    flat = x.flatten(1)
    norm = flat.norm(dim=1)
    return 0.5 * norm.square() - (flat.shape[1] - 1) * norm.log()


def clip_each(gradient: torch.Tensor, max_norm: float) -> torch.Tensor:
    """Gradients [B, ...] with each sample's norm at most `max_norm`, as torch.nn.utils.clip_grad_norm_ does."""
    norms = gradient.flatten(1).norm(dim=1)
    scale = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    return gradient * scale.view(-1, *([1] * (gradient.ndim - 1)))


class Reno:
    """Independent trajectories of all samples of a batch, optimized together."""

    name: ClassVar[str] = "reno"
    presets: ClassVar[Mapping[str, RenoSettings]] = {"paper": RenoSettings()}

    def __init__(self, settings: RenoSettings) -> None:
        self.settings = settings

    def __call__(self, batch: Batch) -> Outcome:
        """Optimize x0; the first evaluation is base's image, so the reward is never below base's."""
        s = self.settings
        noise = batch.noise().requires_grad_()
        optimizer = torch.optim.SGD([noise], s.learning_rate, s.momentum, nesterov=s.nesterov)
        best_images, best = None, None
        for iteration in range(s.iterations):
            last = iteration == s.iterations - 1
            with torch.set_grad_enabled(not last):
                images = batch.generate(noise)
                reward = batch.reward.score(images, batch.texts)
            scores = reward.detach()
            if best is None or best_images is None:
                best_images, best = images.detach(), scores
            else:
                better = scores > best
                best_images = torch.where(better[:, None, None, None], images.detach(), best_images)
                best = torch.where(better, scores, best)
            if not last:
                loss = s.regularization * noise_regularizer(noise) - reward
                (gradient,) = torch.autograd.grad(loss.sum(), noise)
                noise.grad = clip_each(gradient, s.max_grad_norm)
                optimizer.step()
        if best_images is None:
            raise AssertionError("settings guarantee one iteration")
        n = s.iterations
        return Outcome(best_images, Spent(nfe=n * batch.steps, reward_forwards=n, reward_backwards=n - 1))
