"""The embedded world's bundled weights: where they lie, how they are read, written and identified."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save

from hypernoise.files import sha256_of, write_atomically

if TYPE_CHECKING:
    import torch


def bundle() -> Path:
    """The folder of the bundled weights."""
    return Path(str(files("hypernoise.shapes"))) / "bundle"


def adapters() -> Path:
    """The folder of the trained adapters that come with the generator, one folder a method."""
    return Path(str(files("hypernoise.shapes"))) / "adapters"


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """A stored state as float32."""
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def save_state(state: dict[str, torch.Tensor], path: Path) -> None:
    """Store a state in half precision."""
    write_atomically(path, save({name: tensor.half().contiguous() for name, tensor in state.items()}))


def save_model(model: Any, folder: Path) -> None:
    """Store a diffusers model in half precision, in diffusers' layout."""
    model.half().save_pretrained(folder)


def hashes(*names: str) -> dict[str, str]:
    """sha256 of bundled weights and their configurations, by their name inside the bundle.

    A name is that of a file, or of a diffusers model's folder.
    """
    found = {}
    for name in names:
        path = bundle() / name
        for file in [path] if path.is_file() else sorted(path.iterdir()):
            found[str(file.relative_to(bundle()))] = sha256_of(file)
    return found
