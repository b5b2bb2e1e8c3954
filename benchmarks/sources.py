"""Weights on the hub that judges of several benchmarks share."""

from __future__ import annotations

from hypernoise.hub import HubFiles

BLIP_VQA = HubFiles(
    repo="Salesforce/blip-vqa-capfilt-large",
    files=("config.json", "pytorch_model.bin", "tokenizer_config.json", "vocab.txt"),
    gigabytes=1.54,
    licence="BSD-3-Clause",
)
