"""What autograd keeps of a computation for its backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


def kept_bytes(compute: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, *networks: nn.Module) -> int:
    """Bytes that are kept of activations, each storage once; the networks' weights are none."""
    weights = {p.untyped_storage().data_ptr() for network in networks for p in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = compute(x)
    output.sum().backward()
    return sum(kept.values())
