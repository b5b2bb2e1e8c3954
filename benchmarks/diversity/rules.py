"""Means over all pairs of a prompt's images, without ever forming a pair.

LPIPS is a squared Euclidean distance of weighted features, and a cosine is a product of unit vectors; both sum over
pairs in closed form from the features' sum. So time grows with the number of images, and memory with neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Images = Sequence[NDArray[np.uint8]]
    Embed = Callable[[Images], torch.Tensor]
    """Feature vectors [B, D] of images uint8 [H, W, 3]."""

CHUNK = 4
"""Images whose features are in memory at once."""


def distances(images: Images, embed: Embed, chunk: int = CHUNK) -> NDArray[np.float64]:
    """Mean squared distance of each image's features to those of the others, [N].

    Their mean is that over all pairs. Features are computed twice, so that no two chunks of them need be kept.

    Raises:
        ValueError: if there are fewer than two images.
    """
    count = _count(images)
    total: torch.Tensor | float = 0.0
    for features in _chunks(images, embed, chunk):
        total = total + features.sum(0)
    norms, products = [], []
    for features in _chunks(images, embed, chunk):
        norms.append(features.square().sum(1))
        products.append(features @ total)
    squared, shared = torch.cat(norms).cpu().numpy(), torch.cat(products).cpu().numpy()
    return np.maximum(count * squared + squared.sum() - 2 * shared, 0) / (count - 1)


def similarities(images: Images, embed: Embed, chunk: int = CHUNK) -> NDArray[np.float64]:
    """Mean cosine of each image's features with those of the others, [N], -1..1; raises as `distances` does."""
    count = _count(images)
    features = torch.cat(list(_chunks(images, embed, chunk)))
    unit = features / features.norm(dim=1, keepdim=True)
    return ((unit @ unit.sum(0) - 1) / (count - 1)).cpu().numpy()


def _count(images: Images) -> int:
    if len(images) < 2:
        raise ValueError("diversity needs at least two images of a prompt")
    return len(images)


def _chunks(images: Images, embed: Embed, chunk: int) -> Iterator[torch.Tensor]:
    """Features in double precision, as differences of large sums are taken."""
    for start in range(0, len(images), chunk):
        yield embed(images[start : start + chunk]).double()
