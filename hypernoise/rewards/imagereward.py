"""ImageReward, BLIP fine-tuned on people's rankings of images (Xu et al. 2023), built of transformers' BLIP classes.

The published package needs versions of timm and transformers that nothing else here can live with; its architecture
is BLIP's, so that only the weights' names differ. `nox -s parity` compares the two.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn
from transformers import BertTokenizer, BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

from hypernoise.generators.protocol import Encoded
from hypernoise.hub import HubFiles
from hypernoise.rewards.checkpoints import fill, read_checkpoint, translated
from hypernoise.rewards.pretrained import PretrainedReward

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

MEAN, STD = 0.16717362830052426, 1.0333394966054072
"""Of the published training's scores; a standardised score is 0 on average."""

VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 16,
    "layer_norm_eps": 1e-6,
}
"""The image encoder, ViT-L/16 with timm's precision of layer norms, which is not BLIP's default."""

NAMES = (
    (r"^blip\.visual_encoder\.", "vision."),
    (r"^vision\.cls_token$", "vision.embeddings.class_embedding"),
    (r"^vision\.pos_embed$", "vision.embeddings.position_embedding"),
    (r"^vision\.patch_embed\.proj\.", "vision.embeddings.patch_embedding."),
    (r"^vision\.norm\.", "vision.post_layernorm."),
    (r"^vision\.blocks\.", "vision.encoder.layers."),
    (r"(layers\.\d+)\.norm([12])\.", r"\1.layer_norm\2."),
    (r"(layers\.\d+)\.attn\.qkv\.", r"\1.self_attn.qkv."),
    (r"(layers\.\d+)\.attn\.proj\.", r"\1.self_attn.projection."),
    (r"^blip\.text_encoder\.", "text."),
    (r"^mlp\.layers\.", "mlp."),
)
"""How the published names of weights become those of `ImageRewardNetwork`, one pattern after the other."""

UNUSED = ("blip.vision_proj.", "blip.text_proj.", "blip.text_encoder.embeddings.position_ids")
"""What the published file holds and no score depends on."""


class ImageRewardNetwork(nn.Module):
    """BLIP's image encoder, its text encoder that attends to the image, and a linear head of five layers."""

    def __init__(self, vision: Mapping[str, Any], text: Mapping[str, Any]) -> None:
        super().__init__()
        self.vision = BlipVisionModel(BlipVisionConfig(**vision))
        config = BlipTextConfig.from_dict({**text, "encoder_hidden_size": vision["hidden_size"]})
        self.text = BlipTextModel(config, add_pooling_layer=False)
        self.mlp = nn.Sequential(
            nn.Linear(config.hidden_size, 1024),
            nn.Dropout(0.2),
            nn.Linear(1024, 128),
            nn.Dropout(0.2),
            nn.Linear(128, 64),
            nn.Dropout(0.1),
            nn.Linear(64, 16),
            nn.Linear(16, 1),
        )

    def forward(self, inputs: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Raw scores [B] of preprocessed images [B, 3, 224, 224] and tokens [B, L], read at the first token."""
        image = self.vision(inputs).last_hidden_state
        states = self.text(ids, attention_mask=mask, encoder_hidden_states=image).last_hidden_state
        return self.mlp(states[:, 0]).squeeze(-1)


def renamed(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published weights under the names of `ImageRewardNetwork`, without those that no score depends on."""
    return {translated(name, NAMES): tensor for name, tensor in state.items() if not name.startswith(UNUSED)}


class ImageReward(PretrainedReward):
    """The standardised score of ImageReward-v1.0, mostly between -2 and 2.

    The published ReNO and HyperNoise minimise 2 minus this. Of a prompt its first 35 tokens are read, as there.
    The text attends to the image in every layer, so that only its tokens are computed once.
    """

    name: ClassVar[str] = "imagereward"
    sources: ClassVar[tuple[HubFiles, ...]] = (
        HubFiles("THUDM/ImageReward", ("ImageReward.pt", "med_config.json"), 1.79, "Apache-2.0"),
        HubFiles(
            "google-bert/bert-base-uncased", ("tokenizer_config.json", "vocab.txt"), 0.0003, "Apache-2.0"
        ),
    )
    tokens: ClassVar[int] = 35
    vision: ClassVar[Mapping[str, Any]] = VISION

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Load the weights and the tokenizer, downloaded first where they are missing.

        Raises:
            HnError: if they cannot be had or are not ImageReward's.
        """
        folder, texts = (source.fetch() for source in cls.sources)
        path = folder / "ImageReward.pt"
        network = ImageRewardNetwork(cls.vision, json.loads((folder / "med_config.json").read_text()))
        fill(network, renamed(read_checkpoint(path)), path)
        tokenizer = BertTokenizer.from_pretrained(texts)
        tokenizer.add_special_tokens({"bos_token": "[DEC]", "additional_special_tokens": ["[ENC]"]})
        return cls(network.to(device), tokenizer)

    def encode(self, prompts: Sequence[str]) -> Encoded:
        """Tokens [B, 35] of the prompts and which of them count; warns once where some are too long."""
        self.limit.check([len(ids) for ids in self.tokenizer(list(prompts), verbose=False).input_ids])
        texts = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=self.tokens, return_tensors="pt"
        ).to(self.device)
        return Encoded({"ids": texts.input_ids, "mask": texts.attention_mask})

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Standardised scores [B] of images [B, 3, H, W] in [0, 1], differentiable in the images."""
        raw = self.network(self.prepare(images), text.tensors["ids"], text.tensors["mask"])
        return (raw - MEAN) / STD
