"""GenEval's detector: Mask2Former (Cheng et al. 2022) with a Swin-S backbone, trained on COCO's instances.

The published script runs mmdet's own training of it through mmdet 2.x, which cannot be installed any more. Here the
network is transformers' class, with the weights that the authors trained or with mmdet's (`mmdet_weights`). What
surrounds it is the script's configuration of mmdet: images scaled to a shorter side of 800 pixels (the longer at most
1333) as OpenCV does it and padded to multiples of 32, masks scaled back bilinearly, the 100 best (query, class) pairs
kept, a class's probability times the mean probability inside its mask as the score, boxes around the masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from transformers import Mask2FormerForUniversalSegmentation

from benchmarks.geneval import canary
from benchmarks.geneval.coco_names import COCO_NAMES
from benchmarks.geneval.opencv import resized
from benchmarks.geneval.sources import DETECTOR
from benchmarks.pretrained import load_whole
from hypernoise.batches import in_equal_batches
from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIDE, LONGEST = 800, 1333
DIVISOR = 32
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
BEST = 100
"""(query, class) pairs that are kept of an image."""


@dataclass(frozen=True)
class Instance:
    """One object: its COCO name, corners (x1, y1, x2, y2) in pixels, score 0..1 and mask bool [H, W]."""

    name: str
    box: tuple[float, float, float, float]
    score: float
    mask: NDArray[np.bool_]


class Detector:
    """Finds COCO's 80 classes in images; float32, `batch` images at once."""

    def __init__(
        self, model: Mask2FormerForUniversalSegmentation, device: torch.device, batch: int, side: int
    ) -> None:
        self.model = model.eval().requires_grad_(requires_grad=False).to(device)
        self.device, self.batch, self.side = device, batch, side

    @classmethod
    def load(cls, device: torch.device) -> Detector:
        """With the authors' weights.

        Raises:
            HnError: if they cannot be had or know other classes than COCO's, or the device fails `of`'s check.
        """
        model = load_whole(Mask2FormerForUniversalSegmentation, DETECTOR, use_safetensors=True)
        if model.config.num_labels != len(COCO_NAMES):
            raise HnError(f"{DETECTOR.repo} knows {model.config.num_labels} classes instead of COCO's 80.")
        return cls.of(model, device)

    @classmethod
    def of(cls, model: Mask2FormerForUniversalSegmentation, device: torch.device) -> Detector:
        """A network that is on the CPU, at the published size; one image at a time where it stays there.

        Raises:
            HnError: if the device finds something else than the CPU in an image.
        """
        if device.type != "cpu":
            canary.check_against_cpu(model, device, network_input(canary.image(), SIDE)[0])
        return cls(model, device, batch=8 if device.type == "cuda" else 1, side=SIDE)

    def __call__(self, images: Sequence[NDArray[np.uint8]], threshold: float = 0.3) -> list[list[Instance]]:
        """The objects of images uint8 [H, W, 3] that score above `threshold`; images may differ in size."""
        found: dict[int, list[Instance]] = {}
        for shape in {image.shape for image in images}:
            indices = [index for index, image in enumerate(images) if image.shape == shape]
            alike = [images[index] for index in indices]
            instances = in_equal_batches(alike, self.batch, lambda batch: self._detect(batch, threshold))
            found |= dict(zip(indices, instances, strict=True))
        return [found[index] for index in range(len(images))]

    @torch.no_grad()
    def _detect(self, images: Sequence[NDArray[np.uint8]], threshold: float) -> list[list[Instance]]:
        pixels, scaled = network_input(torch.from_numpy(np.stack(images)).to(self.device), self.side)
        outputs = self.model(pixel_values=pixels)
        size = images[0].shape[:2]
        return [
            instances(classes, masks, (pixels.shape[-2], pixels.shape[-1]), scaled, size, threshold)
            for classes, masks in zip(outputs.class_queries_logits, outputs.masks_queries_logits, strict=True)
        ]


def network_input(images: torch.Tensor, side: int) -> tuple[torch.Tensor, tuple[int, int]]:
    """Images uint8 [B, H, W, 3] as the network sees them, [B, 3, h, w], and their height and width in it."""
    height, width = images.shape[1:3]
    scale = min(side / min(height, width), side * LONGEST / SIDE / max(height, width))
    scaled = (int(height * scale + 0.5), int(width * scale + 0.5))
    pixels = resized(images, scaled).permute(0, 3, 1, 2).float()
    mean, deviation = (pixels.new_tensor(each).view(3, 1, 1) for each in (MEAN, DEVIATION))
    return F.pad((pixels - mean) / deviation, (0, -scaled[1] % DIVISOR, 0, -scaled[0] % DIVISOR)), scaled


def instances(
    classes: torch.Tensor,
    masks: torch.Tensor,
    padded: tuple[int, int],
    scaled: tuple[int, int],
    size: tuple[int, int],
    threshold: float,
) -> list[Instance]:
    """The objects above a threshold, by the rules of mmdet's `MaskFormerFusionHead`.

    Args:
        classes: Logits [Q, 81] of each query's classes, "no object" last.
        masks: Logits [Q, h, w] of each query's mask.
        padded: Height and width of the network's input.
        scaled: Height and width of the image in it, from the upper left corner.
        size: Height and width of the image itself.
        threshold: Scores must lie above it.
    """
    probabilities = classes.softmax(dim=-1)[:, :-1]
    best, places = probabilities.flatten().topk(min(BEST, probabilities.numel()))
    places, best = places[best > threshold], best[best > threshold]  # no mask raises a score
    queries, labels = places // probabilities.shape[1], places % probabilities.shape[1]
    found = []
    for query, label, probability in zip(queries.tolist(), labels.tolist(), best, strict=True):
        logits = _resized(masks[query], padded)[: scaled[0], : scaled[1]]
        logits = _resized(logits, size)
        inside = logits > 0
        score = float(probability * (logits.sigmoid() * inside).sum() / (inside.sum() + 1e-6))
        if score > threshold:
            found.append(Instance(COCO_NAMES[label], _box(inside), score, inside.cpu().numpy()))
    return found


def _resized(mask: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    resized = F.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False)
    return resized[0, 0]


def _box(mask: torch.Tensor) -> tuple[float, float, float, float]:
    """Corners around a mask, the lower right one just outside."""
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    return (float(columns[0]), float(rows[0]), float(columns[-1]) + 1, float(rows[-1]) + 1)
