"""Long-CLIP-L: OpenAI's CLIP ViT-L/14 fine-tuned on long captions (Zhang et al. 2024). Beyond the paper."""

from __future__ import annotations

from typing import ClassVar

from hypernoise.hub import HubFiles
from hypernoise.rewards.transformers_clip import NETWORK_FILES, TOKENIZER_FILES, TransformersClipReward


class LongClip(TransformersClipReward):
    """CLIP's logit, as `clip`'s, for prompts of up to 248 tokens, such as DPG-Bench's, which all others cut.

    The file is a third party's conversion of the authors' weights. Theirs add two tables of positions, of which each
    position has one switched off; here they are one table.
    """

    name: ClassVar[str] = "long-clip"
    sources: ClassVar[tuple[HubFiles, ...]] = (
        HubFiles("zer0int/LongCLIP-L-Diffusers", (*NETWORK_FILES, *TOKENIZER_FILES), 1.71, "MIT"),
    )
    tokens: ClassVar[int] = 248
