"""Whether the detector sees on a device what it sees on the CPU, asked of one image before anything is judged.

Users of the published script found that a compiled kernel that is missing for a GPU gives bad boxes and no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hypernoise.errors import HnError

if TYPE_CHECKING:
    from transformers import Mask2FormerForUniversalSegmentation

TOLERANCE = 0.05
"""Most that logits may differ, on average over their standard deviation; rounding stays far below it."""

SIDE, PATCH = 512, 32


def image() -> torch.Tensor:
    """Patches of random colors, uint8 [1, 512, 512, 3]."""
    count = SIDE // PATCH
    colors = torch.randint(0, 256, (1, count, count, 3), generator=torch.Generator().manual_seed(0))
    return colors.to(torch.uint8).repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)


def check_against_cpu(
    model: Mask2FormerForUniversalSegmentation, device: torch.device, pixels: torch.Tensor
) -> None:
    """Compare what a network that is on the CPU finds there and on a device, to which it is moved.

    Args:
        model: The network.
        device: Where it shall judge.
        pixels: One image as the network sees it, [1, 3, H, W].

    Raises:
        HnError: if classes or masks differ by more than rounding explains.
    """
    expected = _logits(model, pixels)
    found = _logits(model.to(device), pixels.to(device))
    classes, masks = (
        float((one - other).abs().mean() / one.std()) for one, other in zip(expected, found, strict=True)
    )
    if not (classes <= TOLERANCE and masks <= TOLERANCE):  # NaN is no agreement
        raise HnError(
            f"The detector does not see on {device} what it sees on the CPU (logits of classes differ by "
            f"{classes:.2f} standard deviations, of masks by {masks:.2f}), so its scores would be wrong: update the "
            "driver or torch, or judge with --device cpu."
        )


@torch.no_grad()
def _logits(
    model: Mask2FormerForUniversalSegmentation, pixels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each query's classes, [1, Q, 81], and of its mask, [1, Q, h, w], on the CPU."""
    outputs = model(pixel_values=pixels)
    return outputs.class_queries_logits.cpu(), outputs.masks_queries_logits.cpu()
