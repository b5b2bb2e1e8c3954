"""Scores of the package image-reward on random weights of full size.

Run in an environment that has it: HF_HUB_CACHE=FOLDER HF_HUB_OFFLINE=1 python published_imagereward.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from cases import PROMPTS, VOCABULARY, pictures, randomize, record, snapshot
from ImageReward.ImageReward import ImageReward
from torch import nn

MED = {
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "add_type_embeddings": False,
    "vocab_size": 30524,
    "encoder_width": 768,
    "add_cross_attention": True,
}
"""The published med_config.json."""


def main(cache: Path) -> None:
    for repo in ("bert-base-uncased", "google-bert/bert-base-uncased"):
        (snapshot(cache, repo) / "vocab.txt").write_text("\n".join(VOCABULARY))
        settings = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
        (snapshot(cache, repo) / "tokenizer_config.json").write_text(json.dumps(settings))
    folder = snapshot(cache, "THUDM/ImageReward")
    (folder / "med_config.json").write_text(json.dumps(MED))

    torch.manual_seed(0)
    model = ImageReward(str(folder / "med_config.json"))
    for layer in model.mlp.layers:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)  # else all scores are nearly one
    randomize(model)
    torch.save(model.state_dict(), folder / "ImageReward.pt")
    text = model.blip.tokenizer(
        PROMPTS, padding="max_length", truncation=True, max_length=35, return_tensors="pt"
    )
    resize, crop, _, _, normalize = model.preprocess.transforms

    def score(images: torch.Tensor) -> torch.Tensor:
        inputs = normalize(crop(resize(images)))
        return model.score_gard(text.input_ids, text.attention_mask, inputs).squeeze(1)

    of_files = [model.score(*pair) for pair in zip(PROMPTS, pictures(), strict=True)]
    record(cache, score, of_files)


if __name__ == "__main__":
    main(Path(os.environ["HF_HUB_CACHE"]))
