"""HPSv2.1, the Human Preference Score: CLIP ViT-H/14 fine-tuned on people's choices between images (Wu et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hypernoise.hub import HubFiles
from hypernoise.rewards.checkpoints import read_checkpoint
from hypernoise.rewards.open_clip_reward import OpenClipReward

if TYPE_CHECKING:
    from typing import Self

    import torch

    from hypernoise.generators.protocol import Encoded

FILE = "HPS_v2.1_compressed.pt"


class Hps(OpenClipReward):
    """The cosine of image and prompt, between -1 and 1, by the weights of version 2.1.

    The published ReNO and HyperNoise minimise 1 minus this. Version 2 has other weights and other scores.
    """

    name: ClassVar[str] = "hps"
    sources: ClassVar[tuple[HubFiles, ...]] = (HubFiles("xswu/HPSv2", (FILE,), 3.94, "Apache-2.0"),)

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Load the weights, downloaded first where they are missing.

        Raises:
            HnError: if they cannot be had or are not HPSv2.1's.
        """
        path = cls.sources[0].fetch() / FILE
        return cls.of(read_checkpoint(path).get("state_dict", {}), path, device)

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Cosines [B] of images [B, 3, H, W] in [0, 1], differentiable in the images."""
        return self.cosine(images, text)
