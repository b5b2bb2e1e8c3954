"""Sharpening of the one-step student: a critic compares its latents with those of drawn scenes.

As SANA-Sprint is, the student is trained against a critic in the latent space that starts as the denoiser itself and
reads the caption too. The losses compare pairs of one caption (relativistic, Jolicoeur-Martineau 2018), on
noisy latents, and a finite-difference gradient penalty keeps the critic smooth (Lin et al. 2025).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from hypernoise.shapes.training.data import draw_pool, trimmed
from hypernoise.shapes.training.loop import LoopSettings, train
from hypernoise.shapes.training.student import jump
from hypernoise.shapes.training.teacher import POOL_SIZE, latents_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusers import AutoencoderDC

    from hypernoise.shapes.training.teacher import Denoiser

SETTINGS = LoopSettings(
    steps=3000, batch=64, seed=6, adam_rate=1.5e-4, adam_betas=(0.5, 0.99), muon_rate=0.0, weight_decay=0.0
)

CRITIC_ALONE = 150
"""Steps before the student moves, in which the critic learns to tell something."""

FROM_NOISE = 0.7
"""Part of a batch that starts from pure noise; the rest starts from noisy latents, as later steps of several do."""

EARLIEST = 0.2
"""The least noisy time that the rest starts from."""

CRITIC_NOISE = 0.8
"""The noisiest time, in flow matching's [0, 1], at which the critic sees latents."""

PENALTY, PENALTY_STEP = 0.3, 0.05
"""Weight of the critic's gradient penalty, and the standard deviation that slopes are measured over."""

ANCHOR = 1.0
"""Weight of the distance to the student before sharpening, which keeps the map from noise to image."""

Text = tuple[torch.Tensor, torch.Tensor]


def build_critic(student: Denoiser) -> Denoiser:
    """A copy of the student whose last layer, drawn anew, gives logits instead of a velocity."""
    critic = copy.deepcopy(student)
    last = nn.Linear(critic.transformer.proj_out.in_features, critic.transformer.proj_out.out_features)
    nn.init.normal_(last.weight, std=0.02)
    nn.init.zeros_(last.bias)
    critic.transformer.proj_out = last
    return critic


class Duel(nn.Module):
    """Student and critic as one trainable module; the text encoders are not trained."""

    def __init__(self, student: Denoiser) -> None:
        super().__init__()
        self.student = copy.deepcopy(student)
        self.critic = build_critic(student)
        for part in (self.student, self.critic):
            part.requires_grad_(requires_grad=True)
            part.text.requires_grad_(requires_grad=False)

    def logits(self, latents: torch.Tensor, times: torch.Tensor, text: Text) -> torch.Tensor:
        """How real noisy latents x_s [B, C, H, W] at times [B] look for their captions, [B]."""
        return 4 * self.critic.velocity(latents, times, text).mean((1, 2, 3))


@dataclass(frozen=True)
class Draw:
    """One batch: whether the critic learns alone, real latents [B, C, H, W], and tokens [B, T]."""

    alone: bool
    latents: torch.Tensor
    tokens: torch.Tensor


def _mixed(latents: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """x_s of clean latents with fresh noise."""
    share = times[:, None, None, None]
    return (1 - share) * latents + share * torch.randn_like(latents)


def _start_times(size: int) -> torch.Tensor:
    times = EARLIEST + (1 - EARLIEST) * torch.rand(size)
    return times.masked_fill(torch.rand(size) < FROM_NOISE, 1.0)


def duel_losses(
    duel: Duel, real: torch.Tensor, fake: torch.Tensor, times: torch.Tensor, text: Text
) -> tuple[torch.Tensor, torch.Tensor]:
    """The critic's loss and the student's for noisy latents at the same times: softplus of the pairs' differences."""
    twice = (torch.cat([text[0], text[0]]), torch.cat([text[1], text[1]]))
    on_real, on_fake = duel.logits(torch.cat([real, fake]), times.repeat(2), twice).chunk(2)
    beside = duel.logits(real + PENALTY_STEP * torch.randn_like(real), times, text)
    slope = ((beside - on_real) / PENALTY_STEP).square().mean()
    return F.softplus(on_fake - on_real).mean() + PENALTY * slope, F.softplus(
        on_real.detach() - on_fake
    ).mean()


def train_adversarial(student: Denoiser, autoencoder: AutoencoderDC, folder: Path) -> Denoiser:
    """Sharpen and return the averaged student; the text encoder stays as it is."""
    before = student.eval().requires_grad_(requires_grad=False)
    torch.manual_seed(SETTINGS.seed)
    duel = Duel(student)

    def batches_from(start: int) -> Iterator[Draw]:
        pool = draw_pool(partial(latents_of, autoencoder), POOL_SIZE, SETTINGS.seed)
        drawn = pool.batches(SETTINGS.seed, SETTINGS.batch, start)
        return (Draw(n < CRITIC_ALONE, *batch) for n, batch in enumerate(drawn, start))

    def loss_of(batch: Draw) -> tuple[torch.Tensor, dict[str, float]]:
        times, seen_at = _start_times(len(batch.latents)), CRITIC_NOISE * torch.rand(len(batch.latents))
        text = before.text(trimmed(batch.tokens))
        points = _mixed(batch.latents, times)
        with torch.set_grad_enabled(not batch.alone):
            clean = jump(duel.student, points, times, text)
        fake = _mixed(clean, seen_at)
        shown = fake.detach().requires_grad_()
        against, toward = duel_losses(duel, _mixed(batch.latents, seen_at), shown, seen_at, text)
        logs = {"critic": float(against.detach()), "student": float(toward.detach())}
        if batch.alone:
            return against, logs
        (slope,) = torch.autograd.grad(toward, shown, retain_graph=True)
        with torch.no_grad():
            anchor = jump(before, points, times, text)
        distance = F.huber_loss(clean, anchor, delta=0.5)
        loss = against + (slope * fake).sum() + ANCHOR * distance
        return loss, logs | {"anchor": float(distance.detach())}

    return train("adversarial", duel, loss_of, batches_from, SETTINGS, folder).student
