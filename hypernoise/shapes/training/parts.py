"""`hn shapes train`: all parts of the embedded world from nothing, in order, into the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderDC
from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.files import locked
from hypernoise.registry import nearest
from hypernoise.shapes.training.adversarial import train_adversarial
from hypernoise.shapes.training.autoencoder import train_autoencoder
from hypernoise.shapes.training.rewards import train_clip, train_match
from hypernoise.shapes.training.student import train_student
from hypernoise.shapes.training.teacher import Denoiser, train_teacher
from hypernoise.shapes.weights import save_model, save_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PARTS = ("autoencoder", "teacher", "student", "adversarial", "clip", "match")


def _autoencoder(folder: Path) -> AutoencoderDC:
    model = AutoencoderDC.from_pretrained(
        _needed(folder / "autoencoder"), use_safetensors=True, local_files_only=True
    )
    return model.to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False)


def _denoiser(path: Path) -> Denoiser:
    model = Denoiser()
    model.load_state_dict(torch.load(_needed(path), weights_only=True))
    return model


def _needed(path: Path) -> Path:
    if not path.exists():
        raise HnError(f"{path} is missing: train the earlier part first, or all parts by `hn shapes train`.")
    return path


def _train(part: str, folder: Path, bundle: Path) -> None:
    if part == "autoencoder":
        autoencoder = train_autoencoder(folder)
        autoencoder.save_pretrained(folder / "autoencoder")
        save_model(autoencoder, bundle / "autoencoder")
    elif part == "teacher":
        torch.save(train_teacher(_autoencoder(folder), folder).state_dict(), folder / "teacher-final.pt")
    elif part == "student":
        student = train_student(_denoiser(folder / "teacher-final.pt"), _autoencoder(folder), folder)
        torch.save(student.state_dict(), folder / "student-final.pt")
    elif part == "adversarial":
        before = _denoiser(folder / "student-final.pt")
        student = train_adversarial(before, _autoencoder(folder), folder)
        save_state(student.text.state_dict(), bundle / "text_encoder.safetensors")
        save_model(student.transformer, bundle / "transformer")
    else:
        scorer = {"clip": train_clip, "match": train_match}[part](_autoencoder(folder), folder)
        save_state(scorer.state_dict(), bundle / f"{part}.safetensors")


def train_parts(parts: Sequence[str], folder: Path, bundle: Path) -> None:
    """Train the named parts, or all, resuming from checkpoints in `folder`, and write their weights to `bundle`.

    Raises:
        HnError: if a part is unknown, needs an earlier one that has not been trained, or is being trained in `folder`.
    """
    for part in parts:
        if part not in PARTS:
            raise HnError(f"The embedded world has no part {part!r}: {nearest(part, list(PARTS))}")
    console = Console()
    for part in parts or PARTS:
        with locked(folder / f".{part}.lock", f"the part {part} in {folder}"):
            _train(part, folder, bundle)
        console.print(f"{part}: trained and written to {bundle}", highlight=False)
