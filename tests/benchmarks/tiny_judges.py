"""Tiny untrained networks of the published judges' classes, and how their files lie on the hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import open_clip
import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForQuestionAnswering,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Owlv2Config,
    Owlv2ForObjectDetection,
    SwinConfig,
)

if TYPE_CHECKING:
    from pathlib import Path

CLIP = "tiny-quickgelu"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "cup", "dog", "bench", "?"]


def mask2former() -> Mask2FormerForUniversalSegmentation:
    """A detector of COCO's 80 classes."""
    torch.manual_seed(0)
    backbone = SwinConfig(
        image_size=32, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32, num_queries=6,
        encoder_feedforward_dim=16, dim_feedforward=16, encoder_layers=1, decoder_layers=2,
        num_attention_heads=2, num_labels=80,
    )  # fmt: skip
    return Mask2FormerForUniversalSegmentation(config).eval()


def owlv2() -> Owlv2ForObjectDetection:
    """An open-vocabulary detector of 16 boxes near their places in the grid, with scores that differ."""
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Owlv2Config(
        text_config=small, vision_config=small | {"image_size": 32, "patch_size": 8}, projection_dim=16
    )
    model = Owlv2ForObjectDetection(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(std=0.1 if name.startswith("box_head") else 0.5)
    return model


def clip(folder: Path) -> open_clip.CLIP:
    """A CLIP with QuickGELU, whose configuration open_clip then knows as `CLIP`; written to `folder`."""
    tower = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
    config = {"embed_dim": 16, "quick_gelu": True, "vision_cfg": tower, "text_cfg": text}
    path = folder / f"{CLIP}.json"
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)
    torch.manual_seed(1)
    return open_clip.create_model(CLIP, load_weights=False)


def blip() -> BlipForQuestionAnswering:
    """A network that answers questions."""
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BlipConfig(
        text_config=small | {"vocab_size": 30524, "encoder_hidden_size": 16, "max_position_embeddings": 40},
        vision_config=small | {"image_size": 32, "patch_size": 16},
    )
    return BlipForQuestionAnswering(config).eval()


def blip_tokenizer() -> BertTokenizer:
    """Of the dozen `WORDS`."""
    return BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)})


def save_blip(model: BlipForQuestionAnswering, folder: Path) -> None:
    """Write the files of BLIP-VQA's repository."""
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))
    (folder / "tokenizer_config.json").write_text(
        '{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}'
    )
