"""A network's weights from a published file: complete and exact, or refused in a sentence."""

from __future__ import annotations

import pickle
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.utils import logging

from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

Network = TypeVar("Network", bound=torch.nn.Module)
Pretrained = TypeVar("Pretrained", bound=PreTrainedModel)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a safetensors file, or a file of `torch.save`, holds; no code in it is run.

    Raises:
        HnError: if it cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise HnError(
            f"{path} holds a {type(content).__name__} where names of weights belong: {_remedy(path)}"
        )
    return content


def translated(name: str, patterns: Sequence[tuple[str, str]]) -> str:
    """A weight's name with each pattern replaced, one after the other."""
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def fill(network: Network, state: Mapping[str, torch.Tensor], path: Path) -> Network:
    """The network with the weights `state` of the file `path`, frozen and in evaluation mode.

    Raises:
        HnError: unless they are its weights exactly, by names and shapes.
    """
    own = network.state_dict()
    wrong = sorted(own.keys() ^ state.keys())
    wrong += sorted(name for name in own.keys() & state.keys() if own[name].shape != state[name].shape)
    _refuse(wrong, path)
    network.load_state_dict(state)
    return network.eval().requires_grad_(requires_grad=False)


def load_shards(kind: type[Pretrained], folder: Path) -> Pretrained:
    """A model of a class of transformers' in float32 from a snapshot's safetensors shards, ready as by `fill`.

    transformers fills the model shard by shard, so that memory holds the weights once, and knows which weights are
    one and the same.

    Raises:
        HnError: unless they are its weights exactly, by names and shapes.
    """
    index = folder / "model.safetensors.index.json"
    try:
        with _quiet():
            network, found = kind.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise _unreadable(index, error) from error
    mismatched = {name for name, *_ in found["mismatched_keys"]}
    _refuse(sorted(found["missing_keys"] | found["unexpected_keys"] | mismatched), index)
    return network.eval().requires_grad_(requires_grad=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' reports on weights, which are raised as errors here, and its progress bars."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _unreadable(path: Path, error: Exception) -> HnError:
    return HnError(f"{path} cannot be read as weights ({type(error).__name__}): {_remedy(path)}")


def _refuse(wrong: list[str], path: Path) -> None:
    """Raise an HnError where the file `path` has wrong weights, given by their names."""
    if wrong:
        raise HnError(
            f"{path} does not hold the weights of this model ({len(wrong)} of them are missing, unknown or of another "
            f"shape, such as {wrong[0]!r}): {_remedy(path)}"
        )


def _remedy(path: Path) -> str:
    """The hub's cache keeps a file as models--owner--name/snapshots/revision/file."""
    return f"delete {path.parents[2]} and give the same command again, which downloads it anew."
