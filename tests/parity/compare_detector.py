"""Compare GenEval's detector with what mmdet found with the same weights in the same images.

Run where hn is installed, with the folder that mmdet's script wrote: HF_HUB_CACHE=FOLDER python compare_detector.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from detector_cases import pictures
from safetensors.torch import load_file

from benchmarks.geneval.coco_names import COCO_NAMES
from benchmarks.geneval.detector import SIDE, Detector, network_input
from benchmarks.geneval.mmdet_weights import network

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

THRESHOLD = 0.3
TOLERANCES = {
    "input": 0,
    "classes": 1e-3,
    "masks": 1e-3,
    "instances": 0,
    "labels": 0,
    "scores": 1e-3,
    "corners": 1,
}
"""What rounding explains; of logits, over the largest: the network looks where its masks are positive, and a pixel
that rounding turns over moves all that follows."""


@torch.no_grad()
def differences(
    detector: Detector, picture: np.ndarray, published: dict[str, torch.Tensor]
) -> dict[str, float]:
    """Largest differences between our detector and mmdet in one image, from the network's input to its instances."""
    pixels, _ = network_input(torch.from_numpy(picture)[None], SIDE)
    outputs = detector.model(pixel_values=pixels)
    (found,) = detector([picture], THRESHOLD)
    found.sort(key=lambda each: -each.score)
    kept = published["scores"] > THRESHOLD
    if len(found) != int(kept.sum()):
        return {"instances": abs(len(found) - int(kept.sum()))}
    return {
        "input": _largest(pixels, published["pixels"]),
        "classes": _relative(outputs.class_queries_logits, published["classes"]),
        "masks": _relative(outputs.masks_queries_logits, published["masks"]),
        "labels": _largest([COCO_NAMES.index(each.name) for each in found], published["labels"][kept]),
        "scores": _largest([each.score for each in found], published["scores"][kept]),
        "corners": _largest([each.box for each in found], published["boxes"][kept]),
        "pixels of masks": _largest([int(each.mask.sum()) for each in found], published["areas"][kept]),
    }


def _largest(ours: Sequence[object] | torch.Tensor, theirs: torch.Tensor) -> float:
    return float((torch.as_tensor(ours) - theirs).abs().max())


def _relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return _largest(ours, theirs) / float(theirs.abs().max())


def main(folder: Path) -> int:
    detector = Detector.of(network(load_file(folder / "weights.safetensors")), torch.device("cpu"))
    failed = False
    for number, picture in enumerate(pictures()):
        published = load_file(folder / f"{number}.safetensors")
        kept = published["scores"] > THRESHOLD
        classes = len(published["labels"][kept].unique())
        print(f"detector: {picture.shape}: mmdet finds {int(kept.sum())} instances of {classes} classes")
        found = differences(detector, picture, published)
        for what, difference in found.items():
            print(f"detector: {picture.shape}: difference of {what}: {difference:.1e}")
        failed |= any(found.get(what, 0) > most for what, most in TOLERANCES.items())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["HF_HUB_CACHE"])))
