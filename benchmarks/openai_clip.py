"""OpenAI's CLIP networks (Radford et al. 2021) from the hub, as open_clip keeps them there.

They were trained with QuickGELU; of an architecture without it open_clip merely warns, here it is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from hypernoise.errors import HnError
from hypernoise.rewards.checkpoints import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from hypernoise.hub import HubFiles


def load_openai_clip(source: HubFiles, architecture: str) -> open_clip.CLIP:
    """The network with its published weights, the first of the source's files.

    Raises:
        HnError: if they cannot be had or are not whole, or the architecture lacks QuickGELU.
    """
    config = open_clip.get_model_config(architecture) or {}
    if not config.get("quick_gelu"):
        raise HnError(f"{architecture} has no QuickGELU, with which {source.repo} was trained.")
    path = source.fetch() / source.files[0]
    return fill(open_clip.CLIP(**config), load_file(path), path)


class OpenAiClip:
    """Both towers, frozen and in float32; a judge asks for `batch` images or sentences at once."""

    def __init__(
        self, model: open_clip.CLIP, architecture: str, device: torch.device, batch: int = 32
    ) -> None:
        self.model = model.float().to(device).eval().requires_grad_(requires_grad=False)
        self.device, self.batch = device, batch
        self.tokenizer = open_clip.get_tokenizer(architecture)
        self.preprocess = open_clip.image_transform(model.visual.image_size, is_train=False)

    @torch.no_grad()
    def see(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Unit vectors [B, D] of images."""
        pixels = torch.stack([self.preprocess(image) for image in images]).to(self.device)
        return F.normalize(self.model.encode_image(pixels), dim=-1)

    @torch.no_grad()
    def read(self, sentences: Sequence[str]) -> torch.Tensor:
        """Unit vectors [B, D] of sentences."""
        tokens = self.tokenizer(list(sentences)).to(self.device)
        return F.normalize(self.model.encode_text(tokens), dim=-1)
