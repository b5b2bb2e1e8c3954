"""The weights of CLIPScore on the hub."""

from __future__ import annotations

from hypernoise.hub import HubFiles

CLIP = HubFiles(
    repo="timm/vit_base_patch32_clip_224.openai",
    files=("open_clip_model.safetensors",),
    gigabytes=0.61,
    licence="Apache-2.0, as the hub has it; MIT, as the authors' repository has it",
)
