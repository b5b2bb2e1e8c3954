"""Compare a reward with what its published package found on the same weights and images.

Run where hn is installed, with the folder that the package's script wrote as the hub's cache:
HF_HUB_CACHE=FOLDER HF_HUB_OFFLINE=1 python compare.py REWARD
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from cases import PROMPTS, images
from huggingface_hub import constants
from safetensors.torch import load_file

from hypernoise.registry import find

TOLERANCE = 1e-4
"""The largest difference allowed, relative to the largest value."""


def differences(name: str, published: dict[str, torch.Tensor]) -> dict[str, float]:
    """Relative differences between the reward and what was published, and between the package's own two ways."""
    reward = find("reward", name).load(torch.device("cpu"))
    leaf = images().requires_grad_()
    scores = reward.score(leaf, reward.encode(PROMPTS))
    (gradients,) = torch.autograd.grad(scores.sum(), leaf)
    return {
        "scores": relative(scores.detach(), published["scores"]),
        "gradients": relative(gradients, published["gradients"]),
        "scores of files, which Pillow resizes": relative(scores.detach(), published["of_files"]),
    }


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference over the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def main(name: str) -> int:
    published = load_file(Path(constants.HF_HUB_CACHE) / "published.safetensors")
    found = differences(name, published)
    print(f"{name}: published scores {[round(value, 5) for value in published['scores'].tolist()]}")
    for what, difference in found.items():
        print(f"{name}: relative difference of {what}: {difference:.1e}")
    return int(max(found["scores"], found["gradients"]) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
