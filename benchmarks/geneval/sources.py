"""The published judges' weights on the hub."""

from __future__ import annotations

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
