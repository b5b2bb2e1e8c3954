"""The weights of GenEval's judges."""

from __future__ import annotations

from benchmarks.sources import weights_named_by_hash
from hypernoise.hub import HubFiles

DETECTOR = HubFiles(
    repo="facebook/mask2former-swin-small-coco-instance",
    files=("config.json", "model.safetensors"),
    gigabytes=0.28,
    licence="other, as the hub has it; MIT, as the authors' repository has it",
)

COLOR_CLASSIFIER = HubFiles(
    repo="timm/vit_large_patch14_clip_224.openai",
    files=("open_clip_model.safetensors",),
    gigabytes=1.7,
    licence="MIT",
)

MMDET_DETECTOR = weights_named_by_hash(
    "https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco/"
    "mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco_20220504_001756-c9d0c4f2.pth",
    gigabytes=0.28,
    licence="Apache-2.0",
)
"""The file that the published script's `download_models.sh` takes."""
