"""The embedded world's reward: a small cross-attention scorer trained on drawn scenes and near-miss captions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from hypernoise.generators.protocol import Encoded
from hypernoise.shapes.networks import MatchScorer
from hypernoise.shapes.vocabulary import tokenize
from hypernoise.shapes.weights import bundle, hashes, load_state

if TYPE_CHECKING:
    from collections.abc import Sequence


class ShapesMatch:
    """Logit that an image shows what the caption says, about -15 to 15; it shares nothing with the judge."""

    name: ClassVar[str] = "shapes-match"

    def __init__(self, scorer: MatchScorer, device: torch.device) -> None:
        self.scorer = scorer.to(device).eval().requires_grad_(requires_grad=False)
        self.device = device

    @classmethod
    def load(cls, device: torch.device) -> ShapesMatch:
        """Load the bundled weights."""
        scorer = MatchScorer()
        scorer.load_state_dict(load_state(bundle() / "reward.safetensors"))
        return cls(scorer, device)

    @classmethod
    def weights(cls) -> dict[str, str]:
        """sha256 of the bundled weight file."""
        return hashes("reward.safetensors")

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Encoded:
        """Text embeddings [B, T, C] and mask [B, T]."""
        embeddings, mask = self.scorer.text(torch.from_numpy(tokenize(list(prompts))).to(self.device))
        return Encoded({"embeddings": embeddings, "mask": mask})

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Logits [B] of images [B, 3, 32, 32] in [0, 1]."""
        logits: torch.Tensor = self.scorer(
            images, text.tensors["embeddings"].unsqueeze(1), text.tensors["mask"].unsqueeze(1)
        )
        return logits.squeeze(1)
