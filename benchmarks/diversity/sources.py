"""The published networks' weights; those of LPIPS' layers come with the package `lpips`."""

from __future__ import annotations

from benchmarks.sources import weights_named_by_hash
from hypernoise.hub import HubFiles

DINO = HubFiles(
    repo="facebook/dinov2-base",
    files=("config.json", "model.safetensors"),
    gigabytes=0.35,
    licence="Apache-2.0",
)

ALEXNET = weights_named_by_hash(
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", gigabytes=0.24, licence="BSD-3-Clause"
)
