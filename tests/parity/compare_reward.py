"""Compare a reward with what its published package found on the same weights and images.

Run where hn is installed, with the folder that the package's script wrote as the hub's cache:
HF_HUB_CACHE=FOLDER HF_HUB_OFFLINE=1 python compare_reward.py REWARD
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from cases import PROMPTS, images
from huggingface_hub import constants
from safetensors.torch import load_file

from hypernoise.registry import find

TOLERANCES = {"scores": 1e-6, "gradients": 1e-5}
"""What rounding explains. ImageReward with BLIP's own precision of layer norms is about ten times outside of both."""


def differences(name: str, published: dict[str, torch.Tensor]) -> dict[str, float]:
    """Largest differences between the reward and what was published; of gradients, over the largest gradient."""
    reward = find("reward", name).load(torch.device("cpu"))
    leaf = images().requires_grad_()
    scores = reward.score(leaf, reward.encode(PROMPTS))
    (gradients,) = torch.autograd.grad(scores.sum(), leaf)
    scores, largest = scores.detach(), published["gradients"].abs().max()
    return {
        "scores": float((scores - published["scores"]).abs().max()),
        "gradients": float((gradients - published["gradients"]).abs().max() / largest),
        "scores of files, which Pillow resizes": float((scores - published["of_files"]).abs().max()),
    }


def main(name: str) -> int:
    published = load_file(Path(constants.HF_HUB_CACHE) / "published.safetensors")
    found = differences(name, published)
    print(f"{name}: published scores {[round(value, 5) for value in published['scores'].tolist()]}")
    for what, difference in found.items():
        print(f"{name}: difference of {what}: {difference:.1e}")
    return int(any(found[what] > most for what, most in TOLERANCES.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
