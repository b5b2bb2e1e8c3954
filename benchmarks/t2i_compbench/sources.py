"""The weights on the hub that judge T2I-CompBench's other categories, beside BLIP-VQA."""

from __future__ import annotations

from hypernoise.hub import HubFiles

DETECTOR = HubFiles(
    repo="google/owlv2-base-patch16-ensemble",
    files=("config.json", "model.safetensors"),
    gigabytes=0.62,
    licence="Apache-2.0",
)

CLIP = HubFiles(
    repo="timm/vit_base_patch32_clip_224.openai",
    files=("open_clip_model.safetensors",),
    gigabytes=0.61,
    licence="Apache-2.0, as the hub has it; MIT, as the authors' repository has it",
)
