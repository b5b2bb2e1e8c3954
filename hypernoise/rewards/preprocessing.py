"""What every pretrained reward does to an image before its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchvision.transforms.functional import InterpolationMode, center_crop, normalize, resize

if TYPE_CHECKING:
    import torch

SIDE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def preprocess(images: torch.Tensor) -> torch.Tensor:
    """CLIP's input [B, 3, 224, 224] from images [B, 3, H, W] in [0, 1], differentiable.

    The shorter side becomes 224 (bicubic, antialiased), the middle is cut out, and the channels are standardised by
    CLIP's mean and deviation. The released HyperNoise and ReNO feed one such tensor to all their rewards; the tensor
    is never rounded to 8 bits as an image file would be.
    """
    resized = resize(images, [SIDE], InterpolationMode.BICUBIC, antialias=True)
    return normalize(center_crop(resized, [SIDE, SIDE]), list(MEAN), list(STD))
