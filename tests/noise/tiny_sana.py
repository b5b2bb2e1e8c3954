"""The tiny SANA-Sprint that the published HyperNoise was run with, an untrained one of some ten thousand weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderDC, SanaSprintPipeline, SanaTransformer2DModel, SCMScheduler
from transformers import AutoTokenizer, Gemma2Model

from hypernoise.generators.sana_sprint import SanaSprint

if TYPE_CHECKING:
    from pathlib import Path


def tiny_sana(folder: Path) -> SanaSprint:
    """The generator of `hn --model sana` with the weights in a folder."""
    pipeline = SanaSprintPipeline(
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder=Gemma2Model.from_pretrained(folder / "text_encoder"),
        vae=AutoencoderDC.from_pretrained(folder / "vae"),
        transformer=SanaTransformer2DModel.from_pretrained(folder / "transformer"),
        scheduler=SCMScheduler.from_pretrained(folder / "scheduler"),
    )
    return SanaSprint(pipeline, torch.device("cpu"))
