"""Scores of the package hpsv2 on random weights of full size.

Run in an environment that has it and open_clip_torch: HF_HUB_CACHE=FOLDER HF_HUB_OFFLINE=1 python published_hps.py
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import torch
from cases import PROMPTS, pictures, randomize, record, snapshot
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize


def add_vocabulary() -> None:
    """Bring the tokenizer's words to hpsv2, whose wheel lacks them; open_clip's are the same file."""
    ours, theirs = (Path(find_spec(name).submodule_search_locations[0]) for name in ("open_clip", "hpsv2"))
    shutil.copy(ours / "bpe_simple_vocab_16e6.txt.gz", theirs / "src" / "open_clip")


def main(cache: Path) -> None:
    add_vocabulary()

    from hpsv2 import img_score  # noqa: PLC0415 (it reads the vocabulary at once)

    torch.manual_seed(0)
    model, _, of_file = img_score.create_model_and_transforms(
        "ViT-H-14",
        precision="amp",
        device="cpu",
        light_augmentation=True,
        aug_cfg={},
        output_dict=True,
        with_score_predictor=False,
        with_region_predictor=False,
    )
    randomize(model)
    path = snapshot(cache, "xswu/HPSv2") / "HPS_v2.1_compressed.pt"
    torch.save({"state_dict": model.state_dict()}, path)
    tokens = img_score.get_tokenizer("ViT-H-14")(PROMPTS)
    preprocess = Compose(
        [Resize(224, InterpolationMode.BICUBIC), CenterCrop(224), of_file.transforms[-1].normalize]
    )

    def score(images: torch.Tensor) -> torch.Tensor:
        found = model(preprocess(images), tokens)
        return (found["image_features"] @ found["text_features"].T).diagonal()

    img_score.model_dict.update(model=model, preprocess_val=of_file)
    scored = [
        img_score.score(picture, prompt, str(path))
        for picture, prompt in zip(pictures(), PROMPTS, strict=True)
    ]
    record(cache, score, [float(one[0]) for one in scored])


if __name__ == "__main__":
    main(Path(os.environ["HF_HUB_CACHE"]))
