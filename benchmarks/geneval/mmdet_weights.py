"""The weights that GenEval's script judges with, mmdet's own training, in transformers' class and without mmdet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from benchmarks.geneval.coco_names import COCO_NAMES
from benchmarks.geneval.mmdet_names import renamed
from benchmarks.geneval.sources import MMDET_DETECTOR
from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

IDLE = ("criterion.empty_weight", "swin.layernorm.weight", "swin.layernorm.bias")
"""Ends of the names that only transformers has: no prediction depends on them."""


def network(state: Mapping[str, torch.Tensor]) -> Mask2FormerForUniversalSegmentation:
    """Mask2Former on Swin-S for COCO's 80 classes with weights of mmdet's.

    Raises:
        HnError: unless they are its weights exactly, by names and shapes.
    """
    model = Mask2FormerForUniversalSegmentation(Mask2FormerConfig(num_labels=len(COCO_NAMES)))
    idle = {name: tensor for name, tensor in model.state_dict().items() if name.endswith(IDLE)}
    try:
        model.load_state_dict(idle | renamed(state))
    except (RuntimeError, ValueError):
        raise HnError(
            f"{MMDET_DETECTOR.file.name} does not hold mmdet's weights of Mask2Former on Swin-S."
        ) from None
    return model.eval()


def load() -> Mask2FormerForUniversalSegmentation:
    """The published network.

    Raises:
        HnError: if its weights cannot be had.
    """
    return network(MMDET_DETECTOR.content()["state_dict"])
