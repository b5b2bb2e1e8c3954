"""GenEval's detector: Mask2Former (Cheng et al. 2022) with a Swin-S backbone, trained on COCO's instances.

The published script runs mmdet's own training of it through mmdet 2.x, which cannot be installed any more; here it is
transformers' port of the authors' training, so scores can differ from the script's. What surrounds the network
follows mmdet's configuration: images scaled to a shorter side of 800 pixels (the longer at most 1333; bilinear with
antialiasing, which OpenCV's lacks), masks scaled back bilinearly, the 100 best (query, class) pairs kept, a class's
probability times the mean probability inside its mask as the score, boxes around the masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from transformers import Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

from benchmarks.geneval.coco_names import COCO_NAMES
from benchmarks.geneval.sources import DETECTOR
from benchmarks.pretrained import load_whole
from hypernoise.batches import in_equal_batches
from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

SIDE, LONGEST = 800, 1333
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
        self, model: Mask2FormerForUniversalSegmentation, device: torch.device, batch: int, side: int = SIDE
    ) -> None:
        self.model = model.float().to(device).eval().requires_grad_(requires_grad=False)
        self.device, self.batch = device, batch
        size = {"shortest_edge": side, "longest_edge": side * LONGEST // SIDE}
        self.processor = Mask2FormerImageProcessor(size=size)

    @classmethod
    def load(cls, device: torch.device) -> Detector:
        """The published weights; on a CPU one image at a time, which is as fast there.

        Raises:
            HnError: if they cannot be had or know other classes than COCO's.
        """
        model = load_whole(Mask2FormerForUniversalSegmentation, DETECTOR, use_safetensors=True)
        if model.config.num_labels != len(COCO_NAMES):
            raise HnError(f"{DETECTOR.repo} knows {model.config.num_labels} classes instead of COCO's 80.")
        return cls(model, device, batch=8 if device.type == "cuda" else 1)

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
        # Copies, for torch warns of arrays that cannot be written to, as those of files are.
        inputs = self.processor(images=[image.copy() for image in images], return_tensors="pt")
        pixels, valid = inputs["pixel_values"].to(self.device), inputs["pixel_mask"][0].bool()
        outputs = self.model(pixel_values=pixels, pixel_mask=inputs["pixel_mask"].to(self.device))
        scaled = (int(valid.any(1).sum()), int(valid.any(0).sum()))
        size = images[0].shape[:2]
        return [
            instances(classes, masks, pixels.shape[-2:], scaled, size, threshold)
            for classes, masks in zip(outputs.class_queries_logits, outputs.masks_queries_logits, strict=True)
        ]


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
