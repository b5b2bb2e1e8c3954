"""CLIPScore as T2I-CompBench takes it: the cosine of an image and a sentence under OpenAI's CLIP ViT-B/32.

The rule is that of Karine-Huang/T2I-CompBench `CLIPScore_eval/CLIP_similarity.py`. There is no factor of 2.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import open_clip
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.openai_clip import load_openai_clip
from benchmarks.t2i_compbench.sources import CLIP
from hypernoise.batches import in_equal_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

ARCHITECTURE = "ViT-B-32-quickgelu"


class ClipScore:
    """Compares images with sentences; float32, `batch` of either at once."""

    def __init__(
        self, model: open_clip.CLIP, architecture: str, device: torch.device, batch: int = 32
    ) -> None:
        self.model = model.float().to(device).eval().requires_grad_(requires_grad=False)
        self.device, self.batch = device, batch
        self.tokenizer = open_clip.get_tokenizer(architecture)
        self.preprocess = open_clip.image_transform(model.visual.image_size, is_train=False)

    @classmethod
    def load(cls, device: torch.device, architecture: str = ARCHITECTURE) -> ClipScore:
        """The published weights.

        Raises:
            HnError: if they cannot be had.
        """
        return cls(load_openai_clip(CLIP, architecture), architecture, device)

    def __call__(self, images: Sequence[NDArray[np.uint8]], sentences: Sequence[str]) -> list[float]:
        """Cosine, -1..1, of every image uint8 [H, W, 3] and the sentence beside it."""
        seen = in_equal_batches(images, self.batch, self._see)
        read = in_equal_batches(sentences, self.batch, self._read)
        return [float(image @ text) for image, text in zip(seen, read, strict=True)]

    @torch.no_grad()
    def _see(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        pixels = torch.stack([self.preprocess(Image.fromarray(image)) for image in images])
        return F.normalize(self.model.encode_image(pixels.to(self.device)), dim=-1)

    @torch.no_grad()
    def _read(self, sentences: Sequence[str]) -> torch.Tensor:
        tokens = self.tokenizer(list(sentences)).to(self.device)
        return F.normalize(self.model.encode_text(tokens), dim=-1)
