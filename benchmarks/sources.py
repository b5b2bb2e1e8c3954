"""What judges of several benchmarks have in common: weights on the hub, and what identifies a judge."""

from __future__ import annotations

from typing import ClassVar

from hypernoise.hub import HubFiles, hashes

BLIP_VQA = HubFiles(
    repo="Salesforce/blip-vqa-capfilt-large",
    files=("config.json", "pytorch_model.bin", "tokenizer_config.json", "vocab.txt"),
    gigabytes=1.54,
    licence="BSD-3-Clause",
)


class JudgedFromSources:
    """A benchmark whose suite `shapes` has the embedded world's classical judge, and `coco` networks on the hub."""

    sources: ClassVar[tuple[HubFiles, ...]]

    def identity(self, suite: str) -> dict[str, str]:
        """The embedded judge's version, or the hashes of all published weights, which are fetched first."""
        if suite == "shapes":
            from hypernoise.shapes.judge import VERSION  # noqa: PLC0415 - imports scipy

            return {"shapes-judge": VERSION}
        return hashes(self.sources)
