"""Rewards whose network is a CLIP of transformers'."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from hypernoise.rewards.checkpoints import fill, read_checkpoint
from hypernoise.rewards.pretrained import DualEncoderReward

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import torch

    from hypernoise.generators.protocol import Encoded

NETWORK_FILES = ("config.json", "model.safetensors")
TOKENIZER_FILES = ("tokenizer_config.json", "vocab.json", "merges.txt")


class TransformersClipReward(DualEncoderReward):
    """The learned scale (about 100) times the cosine of image and prompt.

    Its first source holds the network, its last the tokenizer.
    """

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Load the weights and the tokenizer, downloaded first where they are missing.

        Raises:
            HnError: if they cannot be had or are not this network's.
        """
        folders = [source.fetch() for source in cls.sources]
        path = folders[0] / "model.safetensors"
        state = {k: v for k, v in read_checkpoint(path).items() if not k.endswith(".position_ids")}
        network = fill(CLIPModel(CLIPConfig.from_pretrained(folders[0])), state, path)
        return cls(network.to(device), CLIPTokenizer.from_pretrained(folders[-1]))

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Scaled cosines [B] of images [B, 3, H, W] in [0, 1], differentiable in the images."""
        return self.network.logit_scale.exp() * self.cosine(images, text)

    def lengths(self, prompts: Sequence[str]) -> list[int]:
        """How many tokens each prompt has, those at its ends included."""
        return [len(ids) for ids in self.tokenizer(list(prompts), verbose=False).input_ids]

    def text_features(self, prompts: Sequence[str]) -> torch.Tensor:
        """Features [B, D] of the prompts."""
        texts = self.tokenizer(
            list(prompts), padding=True, truncation=True, max_length=self.tokens, return_tensors="pt"
        )
        return self.network.get_text_features(**texts.to(self.device)).pooler_output

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Features [B, D] of preprocessed images [B, 3, 224, 224]."""
        return self.network.get_image_features(inputs).pooler_output
