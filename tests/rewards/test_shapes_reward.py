"""The embedded world's rewards: differentiable, right about near misses, and for well-formed images."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from hypernoise.generators.protocol import Encoded
from hypernoise.pixels import to_images
from hypernoise.rewards.shapes import ShapesClip, ShapesMatch, ShapesReward
from hypernoise.shapes.captions import NEGATIVES, Description, random_description, scene_for
from hypernoise.shapes.evaluation.scenes import near_miss
from hypernoise.shapes.scenes import render
from hypernoise.shapes.suite import SIZES
from hypernoise.shapes.training.examples import malformed
from hypernoise.shapes.vocabulary import tokenize

CASES = 60


@pytest.fixture(scope="module", params=[ShapesClip, ShapesMatch], ids=lambda kind: kind.name)
def reward(request: pytest.FixtureRequest) -> ShapesReward:
    kind: type[ShapesReward] = request.param
    return kind.load(torch.device("cpu"))


def pictures(rng: np.random.Generator, descriptions: list[Description]) -> torch.Tensor:
    return to_images(np.stack([render(scene_for(rng, description)) for description in descriptions]))


@torch.no_grad()
@pytest.mark.parametrize("kind", NEGATIVES)
def test_the_true_caption_scores_above_near_misses(reward: ShapesReward, kind: str) -> None:
    rng = np.random.default_rng(31)
    cases = [near_miss(rng, kind) for _ in range(CASES)]
    images = pictures(rng, [true for true, _ in cases])
    true = reward.score(images, reward.encode([true.text() for true, _ in cases]))
    wrong = reward.score(images, reward.encode([wrong.text() for _, wrong in cases]))
    assert float((true > wrong).float().mean()) >= 0.85


@torch.no_grad()
def test_a_well_formed_image_scores_above_a_malformed_one(reward: ShapesReward) -> None:
    rng = np.random.default_rng(5)
    torch.manual_seed(5)
    descriptions = [random_description(rng, task) for task in SIZES for _ in range(20)]
    images = pictures(rng, descriptions)
    text = reward.encode([description.text() for description in descriptions])
    assert float((reward.score(images, text) > reward.score(malformed(images), text)).float().mean()) >= 0.85


def test_scores_are_differentiable_in_the_image(reward: ShapesReward) -> None:
    scorer = type(reward)(copy.deepcopy(reward.scorer).double(), reward.device)
    rng = np.random.default_rng(1)
    descriptions = [random_description(rng, task) for task in ("position", "color_attr")]
    text = scorer.encode([description.text() for description in descriptions])
    images = pictures(rng, descriptions).double()
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(scorer.score(leaf, text).sum(), leaf)
    assert gradient.flatten(1).norm(dim=1).min() > 0
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(3):
            step = 1e-5 * torch.randn(images.shape, dtype=torch.float64, generator=random)
            change = float((scorer.score(images + step, text) - scorer.score(images - step, text)).sum() / 2)
            assert float((gradient * step).sum()) == pytest.approx(change, rel=1e-4)


def test_each_score_depends_on_its_own_image_alone(reward: ShapesReward) -> None:
    images = torch.rand(3, 3, 32, 32).requires_grad_()
    scores = reward.score(
        images, reward.encode(["a photo of a ring", "a photo of a star", "a photo of a moon"])
    )
    assert scores.shape == (3,)
    (gradient,) = torch.autograd.grad(scores[1], images)
    assert gradient[1].any()
    assert not gradient[[0, 2]].any()


@torch.no_grad()
def test_padding_of_a_caption_plays_no_part(reward: ShapesReward) -> None:
    images = torch.rand(2, 3, 32, 32)
    texts = ["a photo of a ring", "a photo of a red star left of a blue moon"]
    tokens = torch.from_numpy(tokenize(texts))
    trimmed = reward.scorer.read(tokens[:, :12])
    expected = reward.score(images, reward.encode(texts))
    torch.testing.assert_close(reward.score(images, Encoded(trimmed)), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_image_and_caption_both_matter(reward: ShapesReward) -> None:
    rng = np.random.default_rng(2)
    images = pictures(rng, [random_description(rng, "colors"), random_description(rng, "color_attr")])
    ring, moons = reward.encode(["a photo of a ring"] * 2), reward.encode(["a photo of four moons"] * 2)
    of_ring = reward.score(images, ring)
    assert of_ring[0] != of_ring[1]
    assert (of_ring != reward.score(images, moons)).all()


def test_weights_are_frozen(reward: ShapesReward) -> None:
    assert not any(parameter.requires_grad for parameter in reward.scorer.parameters())
    assert not reward.scorer.training
