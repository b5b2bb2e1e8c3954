"""A network's weights from a published file: complete and exact, or refused in a sentence."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from hypernoise.errors import HnError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

Network = TypeVar("Network", bound=torch.nn.Module)


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
        raise HnError(
            f"{path} cannot be read as weights ({type(error).__name__}): {_remedy(path)}"
        ) from error
    if not isinstance(content, dict):
        raise HnError(
            f"{path} holds a {type(content).__name__} where names of weights belong: {_remedy(path)}"
        )
    return content


def fill(network: Network, state: Mapping[str, torch.Tensor], path: Path) -> Network:
    """The network with the weights `state` of the file `path`, frozen and in evaluation mode.

    Raises:
        HnError: unless they are its weights exactly, by names and shapes.
    """
    own = network.state_dict()
    wrong = sorted(own.keys() ^ state.keys())
    wrong += sorted(name for name in own.keys() & state.keys() if own[name].shape != state[name].shape)
    if wrong:
        raise HnError(
            f"{path} does not hold the weights of this model ({len(wrong)} of them are missing, unknown or of another "
            f"shape, such as {wrong[0]!r}): {_remedy(path)}"
        )
    network.load_state_dict(state)
    return network.eval().requires_grad_(requires_grad=False)


def _remedy(path: Path) -> str:
    """The hub's cache keeps a file as models--owner--name/snapshots/revision/file."""
    return f"delete {path.parents[2]} and give the same command again, which downloads it anew."
