"""Best-of-N: every candidate really looked at, the best one kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import pytest
import torch

from baselines.best_of_n import BestOfN, BestOfNSettings
from hypernoise.methods import Base, BaseSettings, Sample, Spent
from hypernoise.rewards.ensemble import Ensemble
from hypernoise.rewards.redness import Redness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_stable_diffusion import Published

    from hypernoise.generators.protocol import Encoded
    from hypernoise.methods import Batch

SAMPLES = [Sample(i % 3, i) for i in range(6)]


def candidates(batch: Batch, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [N, B, ...] and rewards [N, B] of all candidates, one sample at a time."""
    images, rewards = [], []
    with torch.no_grad():
        for candidate in range(n):
            noise = batch.noise(candidate)
            drawn = [
                replace(batch, samples=[sample], condition=batch.condition.take([i])).generate(
                    noise[i : i + 1]
                )
                for i, sample in enumerate(batch.samples)
            ]
            images.append(torch.cat(drawn))
            rewards.append(batch.reward.score(images[-1], batch.texts))
    return torch.stack(images), torch.stack(rewards)


@pytest.mark.parametrize("steps", [1, 2])
def test_one_candidate_is_base(batch_of: Callable[..., Batch], steps: int) -> None:
    batch = batch_of(SAMPLES, steps)
    outcome = BestOfN(BestOfNSettings(n=1))(batch)
    assert torch.equal(outcome.images, Base(BaseSettings())(batch).images)
    assert outcome.spent == Spent(nfe=steps, reward_forwards=1)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_image_of_the_highest_reward_is_kept(batch_of: Callable[..., Batch], steps: int) -> None:
    batch = batch_of(SAMPLES, steps)
    images, rewards = candidates(batch, 5)
    best = rewards.argmax(0)
    assert len(best.unique()) > 1
    outcome = BestOfN(BestOfNSettings(n=5))(batch)
    expected = images[best, torch.arange(len(SAMPLES))]
    torch.testing.assert_close(outcome.images, expected, atol=1e-5, rtol=0)
    assert outcome.spent == Spent(nfe=5 * steps, reward_forwards=5, reward_backwards=0)
    assert not outcome.images.requires_grad


def test_the_first_candidate_is_x0(batch_of: Callable[..., Batch]) -> None:
    """So that the method starts from the same noise as all others."""
    batch = batch_of(SAMPLES)
    images, _ = candidates(batch, 1)
    torch.testing.assert_close(Base(BaseSettings())(batch).images, images[0], atol=1e-5, rtol=0)


def test_more_candidates_never_lower_the_reward(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES)
    rewards = [
        batch.reward.score(BestOfN(BestOfNSettings(n=n))(batch).images, batch.texts) for n in (1, 2, 4, 8)
    ]
    for fewer, more in pairwise(rewards):
        assert (more >= fewer - 1e-5).all()
    assert (rewards[-1] > rewards[0]).any()


def test_published_selection(published: Published) -> None:
    trial = "G_imageselect_6"
    expected, tensors = published.trials[trial], published.tensors(trial)
    batch = published.batch(trial, tensors["latents_per_iter"])
    losses = -candidates(batch, 6)[1].squeeze(1)
    assert losses.tolist() == pytest.approx(expected["total_reward_loss"], rel=1e-4)
    assert int(losses.argmin()) == expected["best_index"]
    outcome = BestOfN(BestOfNSettings(n=6))(batch)
    torch.testing.assert_close(outcome.images, tensors["best_image"], atol=1e-4, rtol=0)
    assert outcome.spent == Spent(nfe=6, reward_forwards=6)


class Flat(Redness):
    """A reward by which all candidates tie."""

    name: ClassVar[str] = "flat"

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        del text
        return images.new_zeros(len(images))


def test_of_equal_rewards_the_first_candidate_is_kept(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES)
    flat = Ensemble([(Flat(), 1.0)])
    tied = replace(batch, reward=flat, texts=flat.encode([""] * len(SAMPLES)))
    assert torch.equal(BestOfN(BestOfNSettings(n=3))(tied).images, Base(BaseSettings())(batch).images)


@pytest.mark.parametrize("n", [0, -3])
def test_settings_that_cannot_work(n: int) -> None:
    with pytest.raises(ValueError, match="n must be"):
        BestOfNSettings(n=n)
