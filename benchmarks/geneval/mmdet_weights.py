"""The weights that GenEval's script judges with, mmdet's own training, in transformers' class and without mmdet.

Its `download_models.sh` takes the file from download.openmmlab.com, which names it by the beginning of its sha256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from benchmarks.geneval.coco_names import COCO_NAMES
from benchmarks.geneval.mmdet_names import renamed
from benchmarks.pretrained import named_by_hash
from hypernoise.errors import HnError
from hypernoise.prompts.download import RemoteFile, cache_folder, kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

NAME = "mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco"
SOURCE = RemoteFile(
    f"https://download.openmmlab.com/mmdetection/v3.0/mask2former/{NAME}/{NAME}_20220504_001756-c9d0c4f2.pth",
    None,
    "weights",
)
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
        raise HnError(f"{SOURCE.name} does not hold the weights of mmdet's Mask2Former on Swin-S.") from None
    return model.eval()


def load() -> Mask2FormerForUniversalSegmentation:
    """The published network.

    Raises:
        HnError: if its weights cannot be had.
    """
    return network(_checkpoint()[1]["state_dict"])


def identity() -> dict[str, str]:
    """sha256 of the published file, by its name.

    Raises:
        HnError: if it cannot be had.
    """
    return {SOURCE.name: _checkpoint()[0]}


def _checkpoint() -> tuple[str, dict[str, dict[str, torch.Tensor]]]:
    return kept(SOURCE, cache_folder() / "weights", lambda content: named_by_hash(SOURCE.name, content))
