"""What is scored twice, by a published package and by ours, and how the two meet.

Imported in the published packages' environments too, so that it needs torch and safetensors alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROMPTS = ["a photo of a red dog", "two cats, and a blue dog on the left of a photo"]
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = (
    *SPECIAL,
    *["a", "photo", "of", "red", "blue", "dog", "cat", "two", "and", "on", "the", "left", ",", "##s"],
)
"""BERT's words, few of them: its real vocabulary is a file of the hub."""


def images() -> torch.Tensor:
    """Images [2, 3, 320, 320] whose values are of 8 bits, so that files hold them exactly."""
    noise = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    return (F.interpolate(noise, size=320, mode="bicubic").clamp(0, 1) * 255).round() / 255


def pictures() -> list[Image.Image]:
    """The same images as Pillow has them."""
    pixels = (images() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(image) for image in pixels]


@torch.no_grad()
def randomize(model: torch.nn.Module) -> torch.nn.Module:
    """The model in evaluation mode with biases and scales of norms that differ from each other."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval().requires_grad_(requires_grad=False)


def snapshot(cache: Path, repo: str) -> Path:
    """The folder in which the hub's cache keeps a repository's files."""
    folder, revision = cache / f"models--{repo.replace('/', '--')}", "5" * 40
    files = folder / "snapshots" / revision
    files.mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(revision)
    return files


def record(cache: Path, score: Callable[[torch.Tensor], torch.Tensor], of_files: list[float]) -> None:
    """Write the scores [2] of the images, their gradients, and the scores that the package gives to files."""
    leaf = images().requires_grad_()
    scores = score(leaf)
    (gradients,) = torch.autograd.grad(scores.sum(), leaf)
    found = {"scores": scores.detach(), "gradients": gradients, "of_files": torch.tensor(of_files)}
    save_file(
        {name: tensor.float().contiguous() for name, tensor in found.items()}, cache / "published.safetensors"
    )
