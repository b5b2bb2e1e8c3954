"""PickScore: CLIP ViT-H/14 fine-tuned on the Pick-a-Pic users' choices (Kirstain et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from hypernoise.hub import HubFiles
from hypernoise.rewards.checkpoints import fill, read_checkpoint
from hypernoise.rewards.pretrained import DualEncoderReward

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import torch

    from hypernoise.generators.protocol import Encoded


class PickScore(DualEncoderReward):
    """The learned scale (about 100) times the cosine of image and prompt; good images have some 20 to 25.

    The published ReNO and HyperNoise minimise 30 minus this.
    """

    name: ClassVar[str] = "pickscore"
    sources: ClassVar[tuple[HubFiles, ...]] = (
        HubFiles("yuvalkirstain/PickScore_v1", ("config.json", "model.safetensors"), 3.94, "MIT"),
        HubFiles(
            "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
            ("tokenizer_config.json", "vocab.json", "merges.txt"),
            0.002,
            "MIT",
        ),
    )
    tokens: ClassVar[int] = 77

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Load the weights and the tokenizer, downloaded first where they are missing.

        Raises:
            HnError: if they cannot be had or are not PickScore's.
        """
        folder, texts = (source.fetch() for source in cls.sources)
        path = folder / "model.safetensors"
        state = {k: v for k, v in read_checkpoint(path).items() if not k.endswith(".position_ids")}
        network = fill(CLIPModel(CLIPConfig.from_pretrained(folder)), state, path)
        return cls(network.to(device), CLIPTokenizer.from_pretrained(texts))

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
