"""OpenAI's CLIP networks (Radford et al. 2021) from the hub, as open_clip keeps them there.

They were trained with QuickGELU; of an architecture without it open_clip merely warns, here it is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import open_clip
from safetensors.torch import load_file

from hypernoise.errors import HnError
from hypernoise.rewards.checkpoints import fill

if TYPE_CHECKING:
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
