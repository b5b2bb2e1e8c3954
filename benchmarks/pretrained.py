"""Networks of transformers with published weights, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import pickle
from typing import TYPE_CHECKING, Any

import torch

from hypernoise.errors import HnError

if TYPE_CHECKING:
    from hypernoise.hub import HubFiles


def load_whole(kind: Any, source: HubFiles, **options: Any) -> Any:
    """A network of the class `kind` in float32; `options` say how its file is read.

    transformers starts a weight that the file lacks at random and merely says so in its log.

    Raises:
        HnError: if the weights cannot be had, or one is missing.
    """
    folder = source.fetch()
    model, report = kind.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32, output_loading_info=True, **options
    )
    missing = {name for name, _ in model.named_parameters()} & set(report["missing_keys"])
    if missing:
        raise HnError(
            f"{source.repo} in {folder} lacks {len(missing)} weights, such as {min(missing)!r}: "
            f"delete {folder.parents[1]} and give the same command again, which downloads it anew."
        )
    return model


def named_by_hash(name: str, content: bytes) -> Any:
    """What a file of `torch.save` holds, read without running code.

    Args:
        name: Its published name, which ends with the first eight digits of its sha256, such as "alexnet-7be5be79.pth".
        content: The file.

    Raises:
        ValueError: if it is another file, or holds more than tensors and plain data.
    """
    if not hashlib.sha256(content).hexdigest().startswith(name.removesuffix(".pth").rpartition("-")[2]):
        raise ValueError(f"{name} is another file")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{name} is no file of weights") from error
