"""The weighted sum of rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from hypernoise.errors import HnError
from hypernoise.rewards.ensemble import Ensemble, take
from hypernoise.rewards.redness import Redness
from hypernoise.rewards.shapes import ShapesMatch

if TYPE_CHECKING:
    from collections.abc import Mapping

PROMPTS = ["a photo of a ring", "a photo of a red star", "a photo of two moons"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def both() -> Ensemble:
    return Ensemble.load({"shapes-match": 0.5, "redness": -2.0}, CPU)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(len(PROMPTS), 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_the_score_is_the_weighted_sum_of_the_unweighted_parts(both: Ensemble, images: torch.Tensor) -> None:
    texts = both.encode(PROMPTS)
    parts = both.parts(images, texts)
    redness, match = Redness(), ShapesMatch.load(CPU)
    assert list(parts) == ["shapes-match", "redness"]
    torch.testing.assert_close(parts["redness"], redness.score(images, redness.encode(PROMPTS)))
    torch.testing.assert_close(parts["shapes-match"], match.score(images, match.encode(PROMPTS)))
    expected = 0.5 * parts["shapes-match"] - 2.0 * parts["redness"]
    torch.testing.assert_close(both.score(images, texts), expected)


def test_one_reward_of_weight_one_is_that_reward(images: torch.Tensor) -> None:
    ensemble = Ensemble.load({"redness": 1.0}, CPU)
    texts = ensemble.encode(PROMPTS)
    assert torch.equal(ensemble.score(images, texts), ensemble.parts(images, texts)["redness"])


def test_a_score_does_not_depend_on_the_batch(both: Ensemble, images: torch.Tensor) -> None:
    texts = both.encode(PROMPTS)
    together = both.score(images, texts)
    order = [2, 0]
    torch.testing.assert_close(both.score(images[order], take(texts, order)), together[order])
    for i, prompt in enumerate(PROMPTS):
        alone = both.score(images[i : i + 1], both.encode([prompt]))
        torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=1e-4)


def test_gradients_are_weighted_too(both: Ensemble, images: torch.Tensor) -> None:
    texts = both.encode(PROMPTS)

    def gradient(score: torch.Tensor, leaf: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(score.sum(), leaf, retain_graph=True)[0]

    leaf = images.clone().requires_grad_()
    parts = both.parts(leaf, texts)
    expected = 0.5 * gradient(parts["shapes-match"], leaf) - 2.0 * gradient(parts["redness"], leaf)
    torch.testing.assert_close(gradient(both.score(leaf, texts), leaf), expected, atol=1e-5, rtol=1e-3)
    assert expected.any()


@pytest.mark.parametrize(
    ("weights", "message"),
    [({}, "at least one"), ({"shapes-mtch": 1.0}, "shapes-match"), ({"redness": 1.0, "hpsv3": 5.0}, "hps")],
)
def test_no_reward_and_unknown_ones_are_the_users_mistake(weights: Mapping[str, float], message: str) -> None:
    with pytest.raises(HnError, match=message):
        Ensemble.load(weights, CPU)


def test_a_reward_counts_once() -> None:
    with pytest.raises(ValueError, match="only once"):
        Ensemble([(Redness(), 1.0), (Redness(), 2.0)])
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([])
