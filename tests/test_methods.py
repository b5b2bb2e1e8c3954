"""What every method starts from: paired noise, and the base method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from hypernoise.methods import Base, BaseSettings, Batch, Sample, Spent, better
from hypernoise.rewards.ensemble import take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.generators.shapes import ShapesGenerator
    from hypernoise.rewards.ensemble import Ensemble

PROMPTS = ["a photo of a ring", "a photo of a red circle and a blue star", "a photo of three moons"]
SAMPLES = [Sample(0, 0), Sample(1, 0), Sample(2, 5), Sample(1, 3)]


def batch_of(
    generator: ShapesGenerator, reward: Ensemble, samples: Sequence[Sample], steps: int = 1
) -> Batch:
    prompts = [PROMPTS[sample.prompt_index] for sample in samples]
    condition, texts = generator.encode(prompts), reward.encode(prompts)
    return Batch(samples, condition, texts, generator, reward, steps, torch.device("cpu"))


def test_noise_depends_on_the_sample_alone(generator: ShapesGenerator, reward: Ensemble) -> None:
    batch = batch_of(generator, reward, SAMPLES)
    noise = batch.noise()
    assert noise.shape == (len(SAMPLES), *generator.latent_shape)
    assert len({row.numpy().tobytes() for row in noise}) == len(SAMPLES)
    for i, sample in enumerate(SAMPLES):
        assert torch.equal(batch_of(generator, reward, [sample]).noise()[0], noise[i])
    assert torch.equal(batch_of(generator, reward, SAMPLES[::-1]).noise(), noise.flip(0))


def test_candidates_are_further_noise_and_the_first_is_x0(
    generator: ShapesGenerator, reward: Ensemble
) -> None:
    batch = batch_of(generator, reward, SAMPLES)
    assert torch.equal(batch.noise(0), batch.noise())
    drawn = torch.stack([batch.noise(candidate) for candidate in range(30)])
    rows = drawn.flatten(0, 1).flatten(1)
    assert len({row.numpy().tobytes() for row in rows}) == 30 * len(SAMPLES)
    assert float(rows.mean()) == pytest.approx(0, abs=0.02)
    assert float(rows.std()) == pytest.approx(1, abs=0.02)


@torch.no_grad()
def test_noise_between_steps_is_the_same_at_every_call_and_in_every_batch(
    generator: ShapesGenerator, reward: Ensemble
) -> None:
    batch = batch_of(generator, reward, SAMPLES, steps=3)
    noise = batch.noise()
    images = batch.generate(noise)
    assert torch.equal(batch.generate(noise), images)
    for i, sample in enumerate(SAMPLES):
        alone = batch_of(generator, reward, [sample], steps=3)
        torch.testing.assert_close(alone.generate(alone.noise())[0], images[i], atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", [1, 2])
def test_base_generates_from_x0(generator: ShapesGenerator, reward: Ensemble, steps: int) -> None:
    batch = batch_of(generator, reward, SAMPLES, steps)
    outcome = Base(BaseSettings())(batch)
    assert outcome.spent == Spent(nfe=steps, reward_forwards=0, reward_backwards=0)
    assert not outcome.images.requires_grad
    with torch.no_grad():
        assert torch.equal(outcome.images, batch.generate(batch.noise()))
    assert outcome.images.min() >= 0
    assert outcome.images.max() <= 1


def test_rows_of_texts_go_with_their_samples(generator: ShapesGenerator, reward: Ensemble) -> None:
    batch = batch_of(generator, reward, SAMPLES)
    images = Base(BaseSettings())(batch).images
    scores = reward.score(images, batch.texts)
    order = [3, 1]
    torch.testing.assert_close(reward.score(images[order], take(batch.texts, order)), scores[order])


def test_a_number_improves_on_what_is_none() -> None:
    nan = float("nan")
    scores, best = torch.tensor([2.0, 1.0, 1.0, nan, nan, 0.0]), torch.tensor([1.0, 1.0, 2.0, 0.0, nan, nan])
    assert better(scores, best).tolist() == [True, False, False, False, False, True]
