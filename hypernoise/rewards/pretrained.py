"""What the rewards with published weights have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F

from hypernoise.generators.protocol import Encoded
from hypernoise.rewards.preprocessing import preprocess
from hypernoise.rewards.protocol import Reward
from hypernoise.rewards.truncation import TokenLimit

if TYPE_CHECKING:
    from collections.abc import Sequence


class PretrainedReward(Reward):
    """A frozen network from the hub and the tokenizer of its texts."""

    tokens: ClassVar[int]
    """How many tokens of a prompt it reads."""
    lost: ClassVar[str] = "after"
    """Where the tokens are that it does not read, "after" those or "before" them."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.limit = TokenLimit(self.name, self.tokens, self.lost)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """The network's input, in its precision, from images [B, 3, H, W] in [0, 1]."""
        return preprocess(images.to(next(self.network.parameters())))


class DualEncoderReward(PretrainedReward):
    """A reward that compares the features of an image with those of a prompt."""

    def encode(self, prompts: Sequence[str]) -> Encoded:
        """Unit features [B, D] of the prompts; warns once where some are too long."""
        self.limit.check(self.lengths(prompts))
        with torch.no_grad():
            return Encoded({"features": F.normalize(self.text_features(prompts), dim=-1)})

    def cosine(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Cosines [B] between images [B, 3, H, W] in [0, 1] and their prompts."""
        features = F.normalize(self.image_features(self.prepare(images)), dim=-1)
        return (features * text.tensors["features"]).sum(-1)

    def lengths(self, prompts: Sequence[str]) -> list[int]:
        """How many tokens each prompt has, those at its ends included."""
        raise NotImplementedError

    def text_features(self, prompts: Sequence[str]) -> torch.Tensor:
        """Features [B, D] of the prompts."""
        raise NotImplementedError

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Features [B, D] of preprocessed images [B, 3, 224, 224]."""
        raise NotImplementedError
