"""Tiny untrained models of the rewards' classes, laid out as the hub's cache under the real repositories' names.

Each has its published file's names of weights, and a reference: somebody else's computation of the same score.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import open_clip
import torch
from hub_files import snapshot
from safetensors.torch import save_file
from stand_in_rewards import CLIP
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    CLIPConfig,
    CLIPModel,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    T5TokenizerFast,
)

from hypernoise.rewards.clip import Clip
from hypernoise.rewards.hps import Hps
from hypernoise.rewards.imagereward import ImageReward
from hypernoise.rewards.long_clip import LongClip
from hypernoise.rewards.pickscore import PickScore
from hypernoise.rewards.vqascore import VqaScore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (
    *SPECIAL,
    *["a", "photo", "of", "red", "blue", "dog", "cat", "two", "and", "on", "the", "left", "##s"],
)
TOWER = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 32, "head_width": 16, "patch_size": 56},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
SIZE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
PATCHES = {"image_size": 224, "patch_size": 56}
MED = {**SIZE, "model_type": "bert", "vocab_size": 30524, "encoder_width": 7, "add_cross_attention": True}

LANGUAGE = (
    "<pad>",
    "</s>",
    "<unk>",
    "▁",
    "▁yes",
    "▁no",
    "▁Question:",
    "▁a",
    "▁photo",
    "▁red",
    "▁dog",
    "dog",
    "▁cat",
)
IMAGE = len(LANGUAGE)
"""The token in whose places transformers puts what the Q-Former saw."""
INSTRUCTBLIP = {
    "num_query_tokens": 4,
    "image_token_index": IMAGE,
    "tie_word_embeddings": False,
    "vision_config": {**SIZE, **PATCHES},
    "qformer_config": {**SIZE, "vocab_size": len(WORDS) + 1},
    "text_config": {
        "model_type": "t5",
        "vocab_size": IMAGE + 3,
        "d_model": 32,
        "d_kv": 16,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 2,
        "feed_forward_proj": "gated-gelu",
        "dense_act_fn": "gelu",
        "tie_word_embeddings": False,
        "decoder_start_token_id": 0,
    },
}
"""The published file's settings, with small numbers."""


class TinyClip(Clip):
    architecture: ClassVar[str] = "hn-tiny"


class TinyHps(Hps):
    architecture: ClassVar[str] = "hn-tiny"


class TinyImageReward(ImageReward):
    vision: ClassVar[Mapping[str, Any]] = {**SIZE, **PATCHES, "layer_norm_eps": 1e-6}


TINY = {
    "clip": TinyClip,
    "hps": TinyHps,
    "pickscore": PickScore,
    "imagereward": TinyImageReward,
    "long-clip": LongClip,
    "vqascore": VqaScore,
}


def perturbed(model: nn.Module) -> nn.Module:
    """The model with no weight at a special value: fresh biases are 0, and wrong ones would not be seen."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


class NoTypes(nn.Module):
    """In place of BERT's embedding of sentence types, which BLIP lacks."""

    def forward(self, types: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*types.shape, 1)


class PublishedImageReward(nn.Module):
    """ImageReward of timm's ViT and transformers' BERT, whose weights have the published file's names."""

    def __init__(self) -> None:
        super().__init__()
        self.blip = nn.Module()
        self.blip.visual_encoder = VisionTransformer(
            patch_size=56, embed_dim=32, depth=2, num_heads=2, mlp_ratio=2, num_classes=0
        )
        decoder = BertConfig(**SIZE, vocab_size=30524, is_decoder=True, add_cross_attention=True)
        self.blip.text_encoder = BertModel(decoder, add_pooling_layer=False)
        self.blip.text_encoder.embeddings.token_type_embeddings = NoTypes()
        self.blip.text_encoder.config.is_decoder = (
            False  # attends to the image, and to both sides of the text
        )
        self.blip.vision_proj, self.blip.text_proj = nn.Linear(32, 4), nn.Linear(32, 4)
        self.mlp = nn.Module()
        widths = [32, 1024, 128, 64, 16, 1]
        linear = [nn.Linear(*pair) for pair in pairwise(widths)]
        self.mlp.layers = nn.Sequential(
            linear[0], nn.Dropout(), linear[1], nn.Dropout(), linear[2], nn.Dropout(), linear[3], linear[4]
        )

    def forward(self, inputs: torch.Tensor, texts: Mapping[str, torch.Tensor]) -> torch.Tensor:
        image = self.blip.visual_encoder.forward_features(inputs)
        states = self.blip.text_encoder(
            texts["input_ids"], attention_mask=texts["attention_mask"], encoder_hidden_states=image
        ).last_hidden_state
        return (self.mlp.layers(states[:, 0]).squeeze(1) - 0.16717362830052426) / 1.0333394966054072


def lay_out(cache: Path) -> None:
    """Write all rewards' files."""
    torch.manual_seed(0)
    (cache / "hn-tiny.json").write_text(json.dumps(TOWER))
    open_clip.add_model_config(cache / "hn-tiny.json")
    _lay_out_towers(cache)
    _lay_out_transformers(snapshot(cache, "yuvalkirstain/PickScore_v1"), 77)
    _lay_out_transformers(snapshot(cache, "zer0int/LongCLIP-L-Diffusers"), 248)
    _lay_out_words(snapshot(cache, "zer0int/LongCLIP-L-Diffusers"))
    _lay_out_imagereward(cache)
    _lay_out_instructblip(snapshot(cache, "Salesforce/instructblip-flan-t5-xl"))


def instructblip(settings: Mapping[str, Any]) -> InstructBlipForConditionalGeneration:
    """The network with random weights and a last layer of its own, which transformers would tie to the embeddings."""
    network = InstructBlipForConditionalGeneration(InstructBlipConfig(**settings))
    head = network.language_model.lm_head
    head.weight = nn.Parameter(torch.empty_like(head.weight).normal_(std=0.1))
    return network


def _lay_out_towers(cache: Path) -> None:
    laion, hps = snapshot(cache, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"), snapshot(cache, "xswu/HPSv2")
    save_file(perturbed(TinyClip.build()).state_dict(), laion / "open_clip_model.safetensors")
    torch.save({"state_dict": perturbed(TinyHps.build()).state_dict()}, hps / "HPS_v2.1_compressed.pt")
    _lay_out_words(laion)


def _lay_out_words(folder: Path) -> None:
    """CLIP's real words, which come with open_clip, in the files of transformers' tokenizer."""
    words = open_clip.get_tokenizer("hn-tiny")
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {names.get(token, token): number for token, number in words.encoder.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    merges = "\n".join(" ".join(pair) for pair in words.bpe_ranks)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    (folder / "tokenizer_config.json").write_text(
        '{"model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}'
    )


def _lay_out_transformers(folder: Path, length: int) -> None:
    text = {**SIZE, "vocab_size": 49408, "eos_token_id": 49407, "max_position_embeddings": length}
    config = CLIPConfig(text_config=text, vision_config={**SIZE, **PATCHES}, projection_dim=16)
    perturbed(CLIPModel(config)).save_pretrained(folder)


def _lay_out_imagereward(cache: Path) -> None:
    folder, texts = snapshot(cache, "THUDM/ImageReward"), snapshot(cache, "google-bert/bert-base-uncased")
    position_ids = {"blip.text_encoder.embeddings.position_ids": torch.arange(512)[None]}
    torch.save(perturbed(PublishedImageReward()).state_dict() | position_ids, folder / "ImageReward.pt")
    (folder / "med_config.json").write_text(json.dumps(MED))
    (texts / "vocab.txt").write_text("\n".join(WORDS))
    (texts / "tokenizer_config.json").write_text(
        '{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}'
    )


def _lay_out_instructblip(folder: Path) -> None:
    shared = tuple(f"language_model.{part}.embed_tokens.weight" for part in ("encoder", "decoder"))
    state = perturbed(instructblip(INSTRUCTBLIP)).state_dict()
    names = [name for name in state if name not in shared]
    files = {
        f"model-0000{i + 1}-of-00002.safetensors": half for i, half in enumerate((names[::2], names[1::2]))
    }
    for file, half in files.items():
        save_file({name: state[name] for name in half}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, half in files.items() for name in half}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps({**INSTRUCTBLIP, "model_type": "instructblip"}))
    pieces = [(piece, -float(number)) for number, piece in enumerate(LANGUAGE)]
    T5TokenizerFast(vocab=pieces, extra_ids=0).save_pretrained(folder)
    questions = BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)})
    questions.add_special_tokens({"bos_token": "[DEC]"})
    questions.save_pretrained(folder / "qformer_tokenizer")


def _answers(folder: Path, inputs: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
    """VQAScores [B] by transformers' own loss of the answer, one image after the other."""
    network = InstructBlipForConditionalGeneration.from_pretrained(folder).eval()
    words = T5TokenizerFast.from_pretrained(folder)
    looked_for = BertTokenizer.from_pretrained(folder / "qformer_tokenizer")
    losses = []
    for image, prompt in zip(inputs, prompts, strict=True):
        question = f'Question: Does this figure show "{prompt}"? Please answer yes or no.'
        found = network(
            pixel_values=image[None],
            qformer_input_ids=looked_for(question, return_tensors="pt").input_ids,
            input_ids=torch.tensor([[IMAGE] * 4 + words(question).input_ids]),
            labels=words("yes", return_tensors="pt").input_ids,
        )
        losses.append(found.loss)
    return (-torch.stack(losses)).exp()


@torch.no_grad()
def reference(name: str, cache: Path, images: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
    """Scores [B] that others compute from the same files."""
    inputs = CLIP(images)
    if name == "imagereward":
        model = PublishedImageReward().eval()
        state = torch.load(snapshot(cache, "THUDM/ImageReward") / "ImageReward.pt", weights_only=True)
        state.pop("blip.text_encoder.embeddings.position_ids")
        model.load_state_dict(state)
        tokenizer = BertTokenizer.from_pretrained(snapshot(cache, "google-bert/bert-base-uncased"))
        return model(inputs, tokenizer(list(prompts), padding="longest", return_tensors="pt"))
    if name == "vqascore":
        return _answers(snapshot(cache, TINY[name].sources[0].repo), inputs, prompts)
    if name in ("pickscore", "long-clip"):
        clip = CLIPModel.from_pretrained(snapshot(cache, TINY[name].sources[0].repo)).eval()
        tokens = open_clip.get_tokenizer("hn-tiny")(list(prompts))
        return clip(input_ids=tokens, pixel_values=inputs).logits_per_image.diagonal()
    folder, file = {
        "clip": ("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "open_clip_model.safetensors"),
        "hps": ("xswu/HPSv2", "HPS_v2.1_compressed.pt"),
    }[name]
    tower = open_clip.create_model("hn-tiny", pretrained=str(snapshot(cache, folder) / file)).eval()
    image, text, scale = tower(inputs, open_clip.get_tokenizer("hn-tiny")(list(prompts)))
    return (image @ text.T).diagonal() * (scale if name == "clip" else 1)
