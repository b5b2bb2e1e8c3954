"""The stand-in rewards that the published ReNO and HyperNoise were run with, as their losses negated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize

from hypernoise.generators.protocol import Encoded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLIP = Compose(
    [
        Resize(224, interpolation=InterpolationMode.BICUBIC, antialias=True),
        CenterCrop(224),
        Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ]
)
"""What the published code does to an image before every reward."""


class _OfPreprocessed:
    """A reward of the preprocessed image: the published loss, negated."""

    name: ClassVar[str]

    def encode(self, prompts: Sequence[str]) -> Encoded:
        return Encoded({"empty": torch.empty(len(prompts), 0)})

    @classmethod
    def load(cls, device: torch.device) -> Any:
        raise NotImplementedError(device)

    @classmethod
    def weights(cls) -> dict[str, str]:
        return {}


class Conv(_OfPreprocessed):
    """A fixed little convolutional network."""

    name: ClassVar[str] = "Conv"

    def __init__(self, path: Path) -> None:
        self.w = load_file(path)

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        del text
        hidden = F.gelu(F.conv2d(CLIP(images), self.w["w1"], self.w["b1"], stride=4, padding=3))
        hidden = F.conv2d(hidden, self.w["w2"], self.w["b2"], stride=4, padding=2).tanh()
        return -F.linear(hidden.mean((2, 3)), self.w["w3"], self.w["b3"]).squeeze(1)


class PreprocessedRedness(_OfPreprocessed):
    """R - (G + B) / 2 of the preprocessed image."""

    name: ClassVar[str] = "Redness"

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        del text
        red, green, blue = CLIP(images).unbind(1)
        return (red - (green + blue) / 2).mean((1, 2))
