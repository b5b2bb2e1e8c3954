"""Rewards whose network is one of open_clip's, with open_clip's own tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import open_clip

from hypernoise.rewards.checkpoints import fill
from hypernoise.rewards.pretrained import DualEncoderReward

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    import torch


class OpenClipReward(DualEncoderReward):
    """A reward of an open_clip network."""

    architecture: ClassVar[str] = "ViT-H-14"
    """Its name among open_clip's model configurations."""
    tokens: ClassVar[int] = 77

    @classmethod
    def build(cls) -> open_clip.CLIP:
        """The network with random weights."""
        return open_clip.CLIP(**open_clip.get_model_config(cls.architecture))

    @classmethod
    def of(cls, state: Mapping[str, torch.Tensor], path: Path, device: torch.device) -> Self:
        """The reward with the weights `state` of the file `path`.

        Raises:
            HnError: unless they are the architecture's.
        """
        return cls(fill(cls.build(), state, path).to(device), open_clip.get_tokenizer(cls.architecture))

    def lengths(self, prompts: Sequence[str]) -> list[int]:
        """How many tokens each prompt has, those at its ends included."""
        return [len(self.tokenizer.encode(prompt)) + 2 for prompt in prompts]

    def text_features(self, prompts: Sequence[str]) -> torch.Tensor:
        """Features [B, D] of the prompts."""
        return self.network.encode_text(self.tokenizer(list(prompts)).to(self.device))

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Features [B, D] of preprocessed images [B, 3, 224, 224]."""
        return self.network.encode_image(inputs)
