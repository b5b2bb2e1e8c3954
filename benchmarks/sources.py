"""What judges of several benchmarks have in common: weights on the hub, and the embedded judge."""

from __future__ import annotations

from hypernoise.hub import HubFiles

BLIP_VQA = HubFiles(
    repo="Salesforce/blip-vqa-capfilt-large",
    files=("config.json", "pytorch_model.bin", "tokenizer_config.json", "vocab.txt"),
    gigabytes=1.54,
    licence="BSD-3-Clause",
)


def embedded_judge() -> dict[str, str]:
    """The embedded world's classical judge by its version; it has no weights."""
    from hypernoise.shapes.judge import VERSION  # noqa: PLC0415 - imports scipy

    return {"shapes-judge": VERSION}
