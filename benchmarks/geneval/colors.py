"""GenEval's color classifier: CLIP ViT-L/14 (Radford et al. 2021), zero-shot over ten colors.

The weights are OpenAI's as open_clip itself takes them: the hub's `timm/vit_large_patch14_clip_224.openai`, which
holds them as safetensors.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.geneval.prompts import COLORS
from benchmarks.geneval.sources import COLOR_CLASSIFIER
from benchmarks.openai_clip import OpenAiClip, load_openai_clip
from hypernoise.batches import in_equal_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    import open_clip
    from numpy.typing import NDArray

    Box = tuple[float, float, float, float]

ARCHITECTURE = "ViT-L-14-quickgelu"
TEMPLATES = (
    "a photo of a {color} {name}",
    "a photo of a {color}-colored {name}",
    "a photo of a {color} object",
)
GREY = 0x99
"""What is painted over all that lies outside an object's mask, in each channel."""


class ColorClassifier(OpenAiClip):
    """Names the color of objects; float32, `batch` crops at once."""

    def __init__(
        self, model: open_clip.CLIP, architecture: str, device: torch.device, batch: int = 32
    ) -> None:
        super().__init__(model, architecture, device, batch)
        self.classes = cache(self._classes)

    @classmethod
    def load(cls, device: torch.device, architecture: str = ARCHITECTURE) -> ColorClassifier:
        """The published weights.

        Raises:
            HnError: if they cannot be had or are not whole, or the architecture lacks QuickGELU.
        """
        model = load_openai_clip(COLOR_CLASSIFIER, architecture)
        return cls(model, architecture, device)

    def __call__(self, crops: Sequence[Image.Image], names: Sequence[str]) -> list[str]:
        """The color of each crop, which shows an object of the class beside it."""
        features = in_equal_batches(crops, self.batch, self.see)
        return [
            COLORS[int((self.classes(name) @ feature).argmax())]
            for feature, name in zip(features, names, strict=True)
        ]

    def _classes(self, name: str) -> torch.Tensor:
        """Unit vectors [10, D], each the mean of a color's three sentences."""
        texts = [template.format(color=color, name=name) for color in COLORS for template in TEMPLATES]
        return F.normalize(self.read(texts).view(len(COLORS), len(TEMPLATES), -1).mean(dim=1), dim=-1)


def crop(image: NDArray[np.uint8], mask: NDArray[np.bool_], box: Box) -> Image.Image:
    """An object cut out of its image uint8 [H, W, 3] by its box, grey outside its mask [H, W]."""
    masked = np.where(mask[..., None], image, np.uint8(GREY))
    return Image.fromarray(masked).crop(box)
