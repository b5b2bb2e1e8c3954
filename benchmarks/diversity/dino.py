"""DINOv2 ViT-B/14 (Oquab et al. 2023): an image's class token as its embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import BitImageProcessor, Dinov2Model

from benchmarks.diversity.sources import DINO

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Dino:
    """Embeds images; float32."""

    def __init__(self, model: Dinov2Model, device: torch.device) -> None:
        self.model = model.float().to(device).eval().requires_grad_(requires_grad=False)
        self.device = device
        self.processor = BitImageProcessor(
            size={"shortest_edge": 256}, crop_size=224, image_mean=MEAN, image_std=STD
        )

    @classmethod
    def load(cls, device: torch.device) -> Dino:
        """The published weights.

        Raises:
            HnError: if they cannot be had.
        """
        model = Dinov2Model.from_pretrained(
            DINO.fetch(), use_safetensors=True, local_files_only=True, dtype=torch.float32
        )
        return cls(model, device)

    @torch.no_grad()
    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Class tokens [B, D] of images uint8 [H, W, 3], scaled to 256 and cut to 224 pixels a side."""
        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        return self.model(pixel_values=pixels.to(self.device)).last_hidden_state[:, 0]
