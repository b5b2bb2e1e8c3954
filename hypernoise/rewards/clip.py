"""CLIP ViT-H/14, trained on LAION-2B."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hypernoise.hub import HubFiles
from hypernoise.rewards.checkpoints import read_checkpoint
from hypernoise.rewards.open_clip_reward import OpenClipReward

if TYPE_CHECKING:
    from typing import Self

    import torch

    from hypernoise.generators.protocol import Encoded

REPOSITORY = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"


class Clip(OpenClipReward):
    """CLIP's logit: the learned scale (about 100) times the cosine of image and prompt.

    The published ReNO and HyperNoise minimise 100 minus this.
    """

    name: ClassVar[str] = "clip"
    sources: ClassVar[tuple[HubFiles, ...]] = (
        HubFiles(REPOSITORY, ("open_clip_model.safetensors",), 3.94, "MIT"),
    )

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Load the weights, downloaded first where they are missing.

        Raises:
            HnError: if they cannot be had or are not CLIP's.
        """
        path = cls.sources[0].fetch() / "open_clip_model.safetensors"
        return cls.of(read_checkpoint(path), path, device)

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Logits [B] of images [B, 3, H, W] in [0, 1], differentiable in the images."""
        return self.network.logit_scale.exp() * self.cosine(images, text)
