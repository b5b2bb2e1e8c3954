"""The published network's weights on the hub; LPIPS' come from elsewhere, see `lpips.py`."""

from __future__ import annotations

from hypernoise.hub import HubFiles

DINO = HubFiles(
    repo="facebook/dinov2-base",
    files=("config.json", "model.safetensors"),
    gigabytes=0.35,
    licence="Apache-2.0",
)
