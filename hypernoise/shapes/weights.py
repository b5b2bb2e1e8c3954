"""The embedded world's bundled weights: where they lie, how they are read, written and identified."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    import torch


def folder() -> Path:
    """The folder of the bundled weights."""
    return Path(str(files("hypernoise.shapes"))) / "bundle"


def load_state(part: str) -> dict[str, torch.Tensor]:
    """The float32 state of one part that is not a diffusers model."""
    return {name: tensor.float() for name, tensor in load_file(folder() / f"{part}.safetensors").items()}


def save_state(part: str, state: dict[str, torch.Tensor]) -> None:
    """Bundle one part in half precision."""
    folder().mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half().contiguous() for name, tensor in state.items()}
    save_file(halves, folder() / f"{part}.safetensors")


def hashes(*parts: str) -> dict[str, str]:
    """sha256 of the weight files of some parts, by their name inside the bundle."""
    found = {}
    for part in parts:
        single = folder() / f"{part}.safetensors"
        paths = [single] if single.exists() else sorted((folder() / part).glob("*.safetensors"))
        for path in paths:
            found[str(path.relative_to(folder()))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
