"""LPIPS v0.1 (Zhang et al. 2018) on AlexNet, as one feature vector an image: its distance is their squared distance.

The weights of the layers' channels come with the package `lpips`; AlexNet's are torchvision's.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torchvision.models import alexnet

from benchmarks.diversity.sources import ALEXNET
from hypernoise.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

LAYERS = (1, 4, 7, 9, 11)
"""The five activations of AlexNet's `features` that are compared."""

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
EPSILON = 1e-10


class Lpips(nn.Module):
    """AlexNet's activations, weighted so that squared distances are LPIPS."""

    def __init__(
        self, backbone: Mapping[str, torch.Tensor], channels: Mapping[str, torch.Tensor], device: torch.device
    ) -> None:
        """From the states of torchvision's AlexNet and of lpips' linear layers."""
        super().__init__()
        network = alexnet(weights=None)
        network.load_state_dict(backbone)
        self.layers = network.features[: LAYERS[-1] + 1]
        self.roots = [channels[f"lin{n}.model.1.weight"].sqrt().to(device) for n in range(len(LAYERS))]
        self.device = device
        self.to(device).eval().requires_grad_(requires_grad=False)

    @classmethod
    def load(cls, device: torch.device) -> Lpips:
        """With the published weights.

        Raises:
            HnError: if AlexNet's cannot be had.
        """
        channels = torch.load(_channels(), map_location="cpu", weights_only=True)
        return cls(ALEXNET.content(), channels, device)

    @torch.no_grad()
    def forward(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Vectors [B, D] of images uint8 [H, W, 3] of one size, at least 64 pixels a side."""
        pixels = torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2).float() / 255
        shift, scale = (torch.tensor(each, device=self.device).view(3, 1, 1) for each in (SHIFT, SCALE))
        hidden = (pixels * 2 - 1 - shift) / scale
        vectors: list[torch.Tensor] = []
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if index in LAYERS:
                unit = hidden / (hidden.norm(dim=1, keepdim=True) + EPSILON)
                places = unit.shape[2] * unit.shape[3]
                vectors.append((unit * self.roots[len(vectors)] / places**0.5).flatten(1))
        return torch.cat(vectors, dim=1)


def channels_sha256() -> dict[str, str]:
    """sha256 of the package's file of weights, by its name."""
    return {"lpips/v0.1/alex.pth": sha256_of(_channels())}


def _channels() -> Path:
    package = find_spec("lpips")
    assert package is not None  # noqa: S101 - a dependency
    assert package.origin is not None  # noqa: S101
    return Path(package.origin).parent / "weights" / "v0.1" / "alex.pth"
