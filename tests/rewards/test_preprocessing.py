"""The rewards' input against torchvision's transforms and closed forms."""

from __future__ import annotations

import pytest
import torch
from stand_in_rewards import CLIP
from transformers import BlipImageProcessor

from hypernoise.rewards.preprocessing import MEAN, STD, preprocess


@pytest.mark.parametrize("size", [(32, 32), (224, 224), (300, 512), (512, 300), (225, 1000)])
def test_it_is_the_published_preprocessing(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(preprocess(images), CLIP(images))


def test_of_square_images_it_is_instructblip_s_own_but_for_the_rounding() -> None:
    smooth = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(smooth, size=(512, 512), mode="bilinear").mul(255).round()
    processor = BlipImageProcessor(size={"height": 224, "width": 224})
    theirs = processor(images=[image[0].to(torch.uint8)], return_tensors="pt").pixel_values
    level = 1 / 255 / min(STD)
    torch.testing.assert_close(preprocess(image / 255), theirs, atol=1.5 * level, rtol=0)


def test_a_plain_image_becomes_its_standardised_color() -> None:
    color = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1)
    expected = (color - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    torch.testing.assert_close(preprocess(color.expand(1, 3, 90, 70)), expected.expand(1, 3, 224, 224))


def test_what_is_cut_off_has_no_gradient() -> None:
    images = torch.rand(1, 3, 224, 448).requires_grad_()
    preprocess(images).sum().backward()
    assert images.grad is not None
    kept = images.grad.abs().sum((0, 1, 2)) > 0
    assert kept.nonzero().flatten().tolist() == list(range(112, 336))
