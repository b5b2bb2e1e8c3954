"""ReNO against the published implementation's own trajectories, and what holds for every batch."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import pytest
import torch
from safetensors.torch import load_file

from baselines.reno import Reno, RenoSettings, noise_regularizer, optimize
from hypernoise.methods import Base, BaseSettings, Sample, Spent
from hypernoise.rewards.ensemble import Ensemble
from hypernoise.rewards.redness import Redness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_stable_diffusion import Published

    from baselines.reno import Evaluation
    from hypernoise.generators.protocol import Encoded
    from hypernoise.methods import Batch

SAMPLES = [Sample(0, 0), Sample(1, 0), Sample(2, 1)]
STRONG = RenoSettings(iterations=5, learning_rate=200.0, max_grad_norm=1e-3)  # clips every gradient
TRIALS = ["A_conv_red_50", "B_red_20", "C_conv_2step_12", "D_noreg_20"]


def trajectory(batch: Batch, settings: RenoSettings) -> list[Evaluation]:
    def evaluate(noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = batch.generate(noise)
        return images, batch.reward.score(images, batch.texts)

    of_its_precision = next(iter(batch.condition.tensors.values()))
    return list(optimize(evaluate, batch.noise().to(of_its_precision), settings))


def test_prompts_are_read_as_the_published_run_did(published: Published) -> None:
    check = load_file(published.folder / "text_check.safetensors")
    encoded = published.generator.encode([published.trials["A_conv_red_50"]["prompt"]])
    torch.testing.assert_close(encoded.tensors["prompt_embeds"], check["prompt_embeds"])


@pytest.mark.parametrize("trial", TRIALS)
def test_published_trajectories(published: Published, trial: str) -> None:
    expected, tensors = published.trials[trial], published.tensors(trial)
    assert expected["optim"] == "sgd"
    settings = RenoSettings(
        iterations=expected["n_iters"],
        learning_rate=expected["lr"],
        momentum=expected["momentum"],
        nesterov=expected["nesterov"],
        max_grad_norm=expected["grad_clip"],
        regularization=expected["reg_weight"] if expected["regularize"] else 0.0,
    )
    found = trajectory(published.batch(trial, tensors["init_latents"][None]), settings)
    assert len(found) == expected["n_iters"]

    losses = [-float(point.rewards) for point in found]
    assert losses == pytest.approx(expected["total_reward_loss"], rel=1e-4)
    norms = [float(point.noise.norm()) for point in found]
    assert norms == pytest.approx(expected["latent_norm"], rel=1e-4)
    assert found[-1].gradient_norms is None
    gradients = [float(p.gradient_norms) for p in found if p.gradient_norms is not None]
    assert gradients == pytest.approx(expected["grad_norm_before_clip"], rel=1e-3)
    best = min(range(len(losses)), key=losses.__getitem__)
    assert best == expected["best_index"]
    torch.testing.assert_close(found[best].noise, tensors["best_latents"], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found[best].images, tensors["best_image"], atol=1e-3, rtol=0)
    torch.testing.assert_close(found[0].images, tensors["first_image"], atol=1e-5, rtol=0)
    stored = tensors["latents_per_iter"]
    kept = torch.stack([point.noise for point in found[:: expected["latents_per_iter_stride"]]])
    torch.testing.assert_close(kept, stored, atol=1e-3, rtol=1e-3)


def test_the_published_image_is_returned(published: Published) -> None:
    trial = "C_conv_2step_12"
    tensors = published.tensors(trial)
    outcome = Reno(RenoSettings(iterations=12))(published.batch(trial, tensors["init_latents"][None]))
    torch.testing.assert_close(outcome.images, tensors["best_image"], atol=1e-3, rtol=0)
    assert outcome.spent == Spent(nfe=24, reward_forwards=12, reward_backwards=11)


def test_defaults_are_the_published_ones(published: Published) -> None:
    expected, settings = published.trials["A_conv_red_50"], Reno.presets["paper"]
    assert settings.iterations == expected["n_iters"]
    assert settings.learning_rate == expected["lr"]
    assert settings.momentum == expected["momentum"]
    assert settings.nesterov == expected["nesterov"]
    assert settings.max_grad_norm == expected["grad_clip"]
    assert settings.regularization == expected["reg_weight"]


@pytest.mark.parametrize("steps", [1, 2])
def test_trajectories_of_a_batch_are_independent(precise_batch_of: Callable[..., Batch], steps: int) -> None:
    together = trajectory(precise_batch_of(SAMPLES, steps), STRONG)
    for i, sample in enumerate(SAMPLES):
        alone = trajectory(precise_batch_of([sample], steps), STRONG)
        for ours, theirs in zip(alone, together, strict=True):
            torch.testing.assert_close(ours.noise[0], theirs.noise[i], atol=1e-3, rtol=0)
            torch.testing.assert_close(ours.rewards[0], theirs.rewards[i], atol=1e-2, rtol=1e-2)
            torch.testing.assert_close(ours.images[0], theirs.images[i], atol=1e-2, rtol=0)


def test_the_first_evaluation_is_base(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES)
    base = Base(BaseSettings())(batch).images
    first = trajectory(batch, STRONG)[0]
    torch.testing.assert_close(first.images, base, atol=1e-6, rtol=0)
    assert torch.equal(first.noise, batch.noise())
    once = Reno(RenoSettings(iterations=1))(batch)
    assert torch.equal(once.images, base)
    assert once.spent == Spent(nfe=1, reward_forwards=1, reward_backwards=0)


@pytest.mark.parametrize("steps", [1, 2])
def test_costs(batch_of: Callable[..., Batch], steps: int) -> None:
    batch = batch_of(SAMPLES[:2], steps)
    calls = []
    hook = batch.generator.sampler.transformer.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[attr-defined]
    try:
        spent = Reno(RenoSettings(iterations=4))(batch).spent
    finally:
        hook.remove()
    assert spent == Spent(nfe=4 * steps, reward_forwards=4, reward_backwards=3)
    assert len(calls) == spent.nfe


class Wave(Redness):
    """A reward that goes up and down, so that the best point lies anywhere on a trajectory."""

    name: ClassVar[str] = "wave"

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        del text
        return (3 * images.sum((1, 2, 3))).sin()


def test_each_sample_keeps_its_best_image(batch_of: Callable[..., Batch]) -> None:
    settings = RenoSettings(iterations=6, learning_rate=1.0, max_grad_norm=1.0)
    waves = Ensemble([(Wave(), 1.0)])
    samples = [Sample(i % 3, i) for i in range(8)]
    batch = replace(batch_of(samples), reward=waves, texts=waves.encode([""] * len(samples)))
    points = trajectory(batch, settings)
    rewards = torch.stack([point.rewards for point in points])
    chosen = rewards.argmax(0)
    assert len(chosen.unique()) > 1
    expected = torch.stack([points[int(n)].images[i] for i, n in enumerate(chosen)])
    outcome = Reno(settings)(batch)
    assert torch.equal(outcome.images, expected)
    assert not outcome.images.requires_grad


def test_the_reward_rises(batch_of: Callable[..., Batch]) -> None:
    small = RenoSettings(iterations=4, learning_rate=0.01, momentum=0.0, nesterov=False, max_grad_norm=1.0)
    points = trajectory(batch_of(SAMPLES), small)
    assert (points[-1].rewards > points[0].rewards).all()


def test_of_equal_rewards_the_first_image_is_kept(batch_of: Callable[..., Batch]) -> None:
    """Without weight the reward is flat, and the regularizer alone moves the noise."""
    flat = Ensemble([(Wave(), 0.0)])
    batch = replace(batch_of(SAMPLES), reward=flat, texts=flat.encode([""] * len(SAMPLES)))
    points = trajectory(batch, STRONG)
    assert not torch.allclose(points[-1].images, points[0].images, atol=1e-5)
    assert torch.equal(Reno(STRONG)(batch).images, points[0].images)


def test_the_caller_may_have_switched_gradients_off(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(SAMPLES[:1])
    expected = Reno(STRONG)(batch).images
    with torch.no_grad():
        assert torch.equal(Reno(STRONG)(batch).images, expected)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("max_grad_norm", [0.5, 100.0])
def test_steps_on_a_slope_are_those_of_momentum(nesterov: bool, max_grad_norm: float) -> None:
    """On a linear reward the k-th step is lr·g·b with b = (1 - m^k)/(1 - m), or 1 + m·b by Nesterov's rule."""
    slope = torch.tensor([[[[3.0, 4.0]]], [[[0.0, 0.1]]]])  # of norm 5 and 0.1
    lengths = [min(5.0, max_grad_norm), 0.1]
    settings = RenoSettings(4, 0.3, 0.8, nesterov, max_grad_norm, regularization=0.0)

    def evaluate(noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return noise, (slope * noise).sum((1, 2, 3))

    points = list(optimize(evaluate, torch.ones_like(slope), settings))
    for k, (before, after) in enumerate(pairwise(points), start=1):
        gathered = (1 - 0.8**k) / (1 - 0.8)
        factor = 0.3 * (1 + 0.8 * gathered if nesterov else gathered)
        moved = (after.noise - before.noise).flatten(1).norm(dim=1)
        assert moved.tolist() == pytest.approx([factor * length for length in lengths], rel=1e-5)
        assert before.gradient_norms is not None
        assert before.gradient_norms.tolist() == pytest.approx([5.0, 0.1])


def test_regularizer_is_least_at_the_likely_length() -> None:
    d = 512
    x = torch.randn(3, 8, 8, 8, dtype=torch.float64)
    lengths = torch.tensor([1.0, math.sqrt(d - 1), 60.0], dtype=torch.float64)
    x = x / x.flatten(1).norm(dim=1).view(-1, 1, 1, 1) * lengths.view(-1, 1, 1, 1)
    expected = 0.5 * lengths**2 - (d - 1) * lengths.log()
    torch.testing.assert_close(noise_regularizer(x), expected)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(noise_regularizer(leaf).sum(), leaf)
    assert gradient[1].abs().max() < 1e-9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"iterations": 0}, "iterations"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"max_grad_norm": -1.0}, "max_grad_norm"),
        ({"momentum": 1.0}, "momentum"),
        ({"regularization": -0.1}, "regularization"),
        ({"momentum": 0.0}, "nesterov"),
        ({"learning_rate": math.nan}, "learning_rate"),
    ],
)
def test_settings_that_cannot_work(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RenoSettings(**values)  # type: ignore[arg-type]
