"""`--compile`: a generator's networks as kernels that torch.compile writes for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from hypernoise.errors import HnError
from hypernoise.registry import find

if TYPE_CHECKING:
    from hypernoise.generators.protocol import Generator, Memory

VARIANTS = 64
"""Kernels kept of one piece of code, by shape, precision, gradients and adapters; torch's own limit is 8."""


def compile_networks(generator: Generator) -> None:
    """Have a generator's networks compiled when they are first called, and for every new shape of their inputs.

    Raises:
        HnError: if it names none of its networks.
    """
    if not generator.compilable:
        raise HnError(f"{generator.name} says of no network that it can be compiled: leave out --compile.")
    torch._dynamo.config.recompile_limit = VARIANTS
    for network in generator.compilable:
        network.compile(dynamic=False)


def refuse_uncompilable(device: torch.device) -> None:
    """Compile something small.

    Raises:
        HnError: if that fails, for example because there is no C++ compiler.
    """
    try:
        torch.compile(nn.SiLU())(torch.ones(2, device=device))
    except Exception as error:  # from Python to the linker, many things can be missing
        reason = str(error).strip().splitlines()[0]
        raise HnError(f"torch.compile does not work here: {reason} Leave out --compile.") from None


def load_generator(model: str, device: torch.device, memory: Memory, *, compiled: bool) -> Generator:
    """A model's weights, frozen and in evaluation mode, its networks compiled if asked for.

    Raises:
        HnError: if the model is unknown, or its weights or its compilation cannot be had.
    """
    generator: Generator = find("model", model).load(device, memory)
    if compiled:
        compile_networks(generator)
    return generator
