"""What judges of several benchmarks have in common: where weights come from, and what identifies a judge."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from hypernoise.hub import HubFiles
from hypernoise.remote_files import KeptFile, RemoteFile
from hypernoise.sources import hashes

if TYPE_CHECKING:
    from hypernoise.sources import Source

BLIP_VQA = HubFiles(
    repo="Salesforce/blip-vqa-capfilt-large",
    files=("config.json", "pytorch_model.bin", "tokenizer_config.json", "vocab.txt"),
    gigabytes=1.54,
    licence="BSD-3-Clause",
)


def weights_named_by_hash(url: str, gigabytes: float, licence: str) -> KeptFile[Any]:
    """A file of `torch.save` named by the first eight digits of its sha256; the first download is pinned."""
    file = RemoteFile(url, None, "weights")
    return KeptFile(file, "weights", partial(_tensors, file.name), gigabytes, licence)


def _tensors(name: str, content: bytes) -> Any:
    from benchmarks.pretrained import named_by_hash  # noqa: PLC0415 - imports torch

    return named_by_hash(name, content)


class JudgedFromSources:
    """A benchmark whose suite `shapes` has the embedded world's classical judge, and `coco` networks on the hub."""

    sources: ClassVar[tuple[Source, ...]]

    def identity(self, suite: str) -> dict[str, str]:
        """The embedded judge's version, or the hashes of all published weights, which are fetched first."""
        if suite == "shapes":
            from hypernoise.shapes.judge import VERSION  # noqa: PLC0415 - imports scipy

            return {"shapes-judge": VERSION}
        return hashes(self.sources)
