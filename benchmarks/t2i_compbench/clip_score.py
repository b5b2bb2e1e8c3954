"""CLIPScore as T2I-CompBench takes it: the cosine of an image and a sentence under OpenAI's CLIP ViT-B/32.

The rule is that of Karine-Huang/T2I-CompBench `CLIPScore_eval/CLIP_similarity.py`. There is no factor of 2.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from benchmarks.openai_clip import OpenAiClip, load_openai_clip
from benchmarks.t2i_compbench.sources import CLIP
from hypernoise.batches import in_equal_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

ARCHITECTURE = "ViT-B-32-quickgelu"


class ClipScore(OpenAiClip):
    """Compares images with sentences; float32, `batch` of either at once."""

    @classmethod
    def load(cls, device: torch.device, architecture: str = ARCHITECTURE) -> ClipScore:
        """The published weights.

        Raises:
            HnError: if they cannot be had.
        """
        return cls(load_openai_clip(CLIP, architecture), architecture, device)

    def __call__(self, images: Sequence[NDArray[np.uint8]], sentences: Sequence[str]) -> list[float]:
        """Cosine, -1..1, of every image uint8 [H, W, 3] and the sentence beside it."""
        pictures = [Image.fromarray(image) for image in images]
        seen = in_equal_batches(pictures, self.batch, self.see)
        read = in_equal_batches(sentences, self.batch, self.read)
        return [float(image @ text) for image, text in zip(seen, read, strict=True)]
