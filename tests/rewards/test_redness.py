"""Redness against its closed form."""

from __future__ import annotations

import pytest
import torch

from hypernoise.rewards.redness import Redness


def image_of(red: float, green: float, blue: float) -> torch.Tensor:
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(1, 3, 4, 6)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ((1, 0, 0), 1.0),
        ((0, 1, 0), -0.5),
        ((0, 0, 1), -0.5),
        ((0, 1, 1), -1.0),
        ((0.3, 0.3, 0.3), 0.0),
        ((0.9, 0.5, 0.1), 0.6),
    ],
)
def test_plain_images(color: tuple[float, float, float], expected: float) -> None:
    reward = Redness()
    assert reward.score(image_of(*color), reward.encode(["any"])).tolist() == [pytest.approx(expected)]


def test_the_mean_is_over_pixels_and_each_image_is_scored_alone() -> None:
    reward = Redness()
    half = torch.cat([image_of(1, 0, 0)[..., :3], image_of(0, 1, 1)[..., 3:]], dim=3)
    images = torch.cat([half, image_of(1, 0, 0)])
    assert reward.score(images, reward.encode(["a", "b"])).tolist() == pytest.approx([0.0, 1.0])


def test_gradient_is_the_same_in_every_pixel() -> None:
    reward = Redness()
    images = torch.rand(2, 3, 5, 5).requires_grad_()
    reward.score(images, reward.encode(["a", "b"])).sum().backward()
    assert images.grad is not None
    expected = torch.tensor([1, -0.5, -0.5]).view(1, 3, 1, 1).expand(2, 3, 5, 5) / 25
    torch.testing.assert_close(images.grad, expected)


def test_encoding_has_a_row_for_each_prompt() -> None:
    text = Redness().encode(["a", "b", "c"])
    assert {len(tensor) for tensor in text.tensors.values()} == {3}
    assert {len(tensor) for tensor in text.take([2, 2]).tensors.values()} == {2}
    assert Redness.weights() == {}
