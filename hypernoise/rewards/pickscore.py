"""PickScore: CLIP ViT-H/14 fine-tuned on the Pick-a-Pic users' choices (Kirstain et al. 2023)."""

from __future__ import annotations

from typing import ClassVar

from hypernoise.hub import HubFiles
from hypernoise.rewards.transformers_clip import NETWORK_FILES, TOKENIZER_FILES, TransformersClipReward


class PickScore(TransformersClipReward):
    """The learned scale (about 100) times the cosine of image and prompt; good images have some 20 to 25.

    The published ReNO and HyperNoise minimise 30 minus this.
    """

    name: ClassVar[str] = "pickscore"
    sources: ClassVar[tuple[HubFiles, ...]] = (
        HubFiles("yuvalkirstain/PickScore_v1", NETWORK_FILES, 3.94, "MIT"),
        HubFiles("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", TOKENIZER_FILES, 0.002, "MIT"),
    )
    tokens: ClassVar[int] = 77
