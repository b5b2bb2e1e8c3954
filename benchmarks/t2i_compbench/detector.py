"""An open-vocabulary detector, OWLv2 (Minderer et al. 2023), in place of T2I-CompBench's UniDet.

UniDet knows 722 classes and needs detectron2, of which its authors publish no package. OWLv2 finds whatever a sentence
names. It scores every box for every sentence on its own, so that an image's objects depend on the nouns of its prompt
alone; a box belongs to the noun that fits it best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import open_clip
import torch
from torchvision.ops import box_convert, clip_boxes_to_image, nms, remove_small_boxes
from transformers import Owlv2ForObjectDetection, Owlv2ImageProcessor

from benchmarks.pretrained import load_whole
from benchmarks.t2i_compbench.boxes import Detection
from benchmarks.t2i_compbench.detector_settings import SETTINGS, DetectorSettings
from benchmarks.t2i_compbench.sources import DETECTOR
from hypernoise.batches import in_equal_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Case = tuple[NDArray[np.uint8], Sequence[str]]
    """An image and the nouns that it is asked for."""

SENTENCES = 32
"""Sentences that are read at once."""

PIXEL = 1.0
"""Least sides of a box in pixels."""


class Detector:
    """Finds what nouns name in images; float32, `batch` images at once, each noun read once."""

    def __init__(
        self,
        model: Owlv2ForObjectDetection,
        device: torch.device,
        batch: int,
        settings: DetectorSettings = SETTINGS,
    ) -> None:
        self.model = model.float().to(device).eval().requires_grad_(requires_grad=False)
        self.device, self.batch, self.settings = device, batch, settings
        side = model.config.vision_config.image_size
        self.processor = Owlv2ImageProcessor(size={"height": side, "width": side})
        # The same byte pairs as OWLv2's own tokenizer, and zeros after the end like it.
        self.tokenizer = open_clip.SimpleTokenizer(
            context_length=model.config.text_config.max_position_embeddings
        )
        self._queries: dict[str, torch.Tensor] = {}

    @classmethod
    def load(cls, device: torch.device) -> Detector:
        """The published weights; on a CPU one image at a time.

        Raises:
            HnError: if they cannot be had.
        """
        model = load_whole(Owlv2ForObjectDetection, DETECTOR, use_safetensors=True)
        return cls(model, device, batch=8 if device.type == "cuda" else 1)

    def __call__(
        self, images: Sequence[NDArray[np.uint8]], nouns: Sequence[Sequence[str]]
    ) -> list[dict[str, list[Detection]]]:
        """The objects of images uint8 [H, W, 3], which may differ in size, by the nouns each is asked for."""
        self._read(noun for of in nouns for noun in of)
        return in_equal_batches(list(zip(images, nouns, strict=True)), self.batch, self._detect)

    def _read(self, nouns: Iterable[str]) -> None:
        """Keep the vectors of nouns not read before."""
        new = [noun for noun in dict.fromkeys(nouns) if noun not in self._queries]
        self._queries |= dict(zip(new, in_equal_batches(new, SENTENCES, self._encode), strict=True))

    @torch.no_grad()
    def _encode(self, nouns: Sequence[str]) -> torch.Tensor:
        tokens = self.tokenizer([self.settings.query.format(noun) for noun in nouns])
        vectors: torch.Tensor = self.model.owlv2.get_text_features(
            input_ids=tokens.to(self.device)
        ).pooler_output
        return vectors

    @torch.no_grad()
    def _detect(self, cases: Sequence[Case]) -> list[dict[str, list[Detection]]]:
        grid, _ = self.model.image_embedder(torch.cat([self._pixels(image) for image, _ in cases]))
        patches = grid.flatten(1, 2)
        boxes = self.model.box_predictor(patches, grid)
        return [
            self._found(seen[None], around, nouns, image.shape[:2])
            for seen, around, (image, nouns) in zip(patches, boxes, cases, strict=True)
        ]

    def _pixels(self, image: NDArray[np.uint8]) -> torch.Tensor:
        # A copy, for torch warns of arrays that cannot be written to, as those of files are.
        pixels: torch.Tensor = self.processor(images=[image.copy()], return_tensors="pt")["pixel_values"]
        return pixels.to(self.device)

    def _found(
        self, patches: torch.Tensor, boxes: torch.Tensor, nouns: Sequence[str], size: tuple[int, int]
    ) -> dict[str, list[Detection]]:
        if not nouns:
            return {}
        queries = torch.stack([self._queries[noun] for noun in nouns])[None]
        logits, _ = self.model.class_predictor(patches, queries)
        return objects(logits[0].cpu(), boxes.cpu(), nouns, size, self.settings)


def objects(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    nouns: Sequence[str],
    size: tuple[int, int],
    settings: DetectorSettings = SETTINGS,
) -> dict[str, list[Detection]]:
    """The objects of an image by their nouns, the most confident first.

    Args:
        logits: How well each box fits each noun, [P, N]; its best noun's sigmoid is a box's score.
        boxes: Centers and sizes [P, 4], in sides of the square that the image fills from its upper left corner.
        nouns: N names.
        size: Height and width of the image in pixels; boxes are cut at its rim, and none remains of those outside.
        settings: Which boxes are objects.
    """
    scores, labels = logits.sigmoid().max(dim=1)
    corners = clip_boxes_to_image(box_convert(boxes, "cxcywh", "xyxy") * max(size), size)
    kept = remove_small_boxes(corners, PIXEL)
    kept = kept[scores[kept] > settings.threshold]
    kept = kept[nms(corners[kept], scores[kept], settings.overlap)]
    found: dict[str, list[Detection]] = {}
    for place in kept.tolist():
        x1, y1, x2, y2 = corners[place].tolist()
        found.setdefault(nouns[int(labels[place])], []).append(
            Detection((x1, y1, x2, y2), float(scores[place]))
        )
    return found
