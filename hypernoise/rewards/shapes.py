"""The embedded world's two rewards: a dual encoder and a cross-attention scorer, trained apart on drawn scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from hypernoise.generators.protocol import Encoded
from hypernoise.rewards.protocol import Reward
from hypernoise.shapes.scorers import CrossScorer, DualScorer, Scorer
from hypernoise.shapes.vocabulary import tokenize
from hypernoise.shapes.weights import bundle, hashes, load_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self


class ShapesReward(Reward):
    """Logit that an image shows what the caption says; it shares nothing with the judge."""

    file: ClassVar[str]
    network: ClassVar[Callable[[], Scorer]]

    def __init__(self, scorer: Scorer, device: torch.device) -> None:
        self.scorer = scorer.to(device).eval().requires_grad_(requires_grad=False)
        self.device = device

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Load the bundled weights."""
        scorer = cls.network()
        scorer.load_state_dict(load_state(bundle() / cls.file))
        return cls(scorer, device)

    @classmethod
    def weights(cls) -> dict[str, str]:
        """sha256 of the bundled weight file."""
        return hashes(cls.file)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Encoded:
        """What the network keeps of each caption."""
        return Encoded(self.scorer.read(torch.from_numpy(tokenize(list(prompts))).to(self.device)))

    def score(self, images: torch.Tensor, text: Encoded) -> torch.Tensor:
        """Logits [B] of images [B, 3, 32, 32] in [0, 1]."""
        captions = {name: tensor.unsqueeze(1) for name, tensor in text.tensors.items()}
        return self.scorer.match(self.scorer.trunk(images), captions).squeeze(1)


class ShapesClip(ShapesReward):
    """The dual encoder, of CLIP's kind."""

    name: ClassVar[str] = "shapes-clip"
    file: ClassVar[str] = "clip.safetensors"
    network: ClassVar[Callable[[], Scorer]] = DualScorer


class ShapesMatch(ShapesReward):
    """The cross-attention scorer, of ImageReward's kind."""

    name: ClassVar[str] = "shapes-match"
    file: ClassVar[str] = "match.safetensors"
    network: ClassVar[Callable[[], Scorer]] = CrossScorer
