"""The embedded world's judge: a classical detector without weights, so that it shares nothing with any reward.

Foreground pixels are those that differ from the grey ground; connected ones are a component, and the parts of one
palette color in it are objects that touch, or together one object of several colors, whichever the outlines fit better.
A soft mask is compared with every shape's template at the position and size that fit it. The score says how well the
best template fits, how clearly it beats the next, how sharp the edge is and how near the palette; the object's color
plays no part in it, as in GenEval.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.special import expit

from hypernoise.shapes.geometry import outline
from hypernoise.shapes.scenes import SIZE
from hypernoise.shapes.vocabulary import COLORS, PALETTE, SHAPES

Array = NDArray[Any]

VERSION = "2"
"""Another one wherever a verdict may differ, so that runs with other verdicts are never taken for the same."""

_PALETTE = np.array(list(PALETTE.values()))
_FOREGROUND = 0.17  # distance from the ground, in RGB units, from which a pixel belongs to an object
_SMALLEST = 12  # pixels; anything smaller is noise
_SMALLEST_RADIUS, _LARGEST_RADIUS = 3.8, 11.0  # pixels, a little more than scenes use
_TEMPLATE_SIDE = 96
_TEMPLATE_SPAN = 1.6  # a template shows [-span, span] radii in both directions
_CRISPNESS = (
    1.6  # contrast of masks when outlines are compared, so that faint noise inside and outside counts little
)

MIXED = "mixed"
"""The color of an object of which no palette color covers two thirds."""

Part = tuple[int, Array]
"""Pixels of one palette color: the color's index, and a bool mask [H, W]."""


@dataclass(frozen=True)
class Found:
    """One detected object: its box (x1, y1, x2, y2) in pixels, its score in [0, 1] and its soft mask [H, W]."""

    shape: str
    color: str
    box: tuple[float, float, float, float]
    score: float
    mask: Array


@cache
def _templates() -> Array:
    """Coverage of every shape at unit radius, float32 [shapes, side, side]."""
    scale, oversampling = _TEMPLATE_SIDE / (2 * _TEMPLATE_SPAN), 4
    images = []
    for shape in SHAPES:
        image = Image.new("L", (_TEMPLATE_SIDE * oversampling,) * 2, 0)
        points = (outline(shape) + _TEMPLATE_SPAN) * scale * oversampling
        ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in points], fill=255)
        images.append(np.asarray(image.reduce(oversampling), dtype=np.float32) / 255)
    return np.stack(images)


@cache
def _moments() -> tuple[Array, Array]:
    """Area [shapes] and centroid [shapes, 2] of the unit-radius shapes, in radii."""
    axis = (np.arange(_TEMPLATE_SIDE) + 0.5) / _TEMPLATE_SIDE * 2 * _TEMPLATE_SPAN - _TEMPLATE_SPAN
    templates = _templates()
    cell = (2 * _TEMPLATE_SPAN / _TEMPLATE_SIDE) ** 2
    mass = templates.sum((1, 2))
    centroid = np.stack([(templates.sum(1) * axis).sum(1), (templates.sum(2) * axis).sum(1)], axis=1)
    return mass * cell, centroid / mass[:, None]


def _ground(image: Array) -> Array:
    """The ground's color: the median of the pixels near the middle grey."""
    grey = (np.abs(image - 0.525) < 0.16).all(axis=2)
    if grey.sum() < 0.15 * grey.size:
        return np.full(3, 0.525)
    color: Array = np.median(image[grey], axis=0)
    return color


def _pure_colors(image: Array, ground: Array) -> Array:
    """Index of the palette color that each pixel is a mixture of with the ground, [H, W].

    A pixel at an object's rim lies on the line from the ground to the object's color.
    """
    offsets = _PALETTE - ground
    pixels = image - ground
    share = np.clip((pixels @ offsets.T) / (offsets**2).sum(1), 0, 1)
    residual = np.linalg.norm(pixels[:, :, None] - share[..., None] * offsets, axis=3)
    nearest: Array = (residual + 0.25 * (1 - share)).argmin(axis=2)
    return nearest


def _components(image: Array, ground: Array) -> list[list[Part]]:
    """The parts of every connected foreground component."""
    smooth = ndimage.gaussian_filter(image, (0.5, 0.5, 0))
    colors = _pure_colors(smooth, ground)
    labels, count = ndimage.label(np.linalg.norm(smooth - ground, axis=2) > _FOREGROUND)
    components = (labels == label for label in range(1, count + 1))
    return [_parts(component, colors, smooth) for component in components if component.sum() >= _SMALLEST]


def _parts(component: Array, colors: Array, smooth: Array) -> list[Part]:
    """A connected component, split where more than one color has a fifth of it."""
    shares = np.bincount(colors[component], minlength=len(COLORS)) / component.sum()
    major = np.flatnonzero(shares > 0.2)
    if len(major) < 2:
        return [(int(shares.argmax()), component)]
    nearest = np.abs(_PALETTE[major] - smooth[:, :, None]).sum(3).argmin(2)
    found = []
    for index, color in enumerate(major):
        labels, count = ndimage.label(component & (nearest == index))
        pieces = (labels == label for label in range(1, count + 1))
        found += [(int(color), piece) for piece in pieces if piece.sum() >= _SMALLEST]
    return found


def _shares(image: Array, ground: Array, part: Part) -> tuple[Array, float]:
    """How much of a part's color each pixel holds, and how well that color fits the palette (0 to 1)."""
    color, region = part
    inner = ndimage.binary_erosion(region)
    core = inner if inner.sum() >= 5 else region
    seen = np.median(image[core], axis=0)
    offset = seen - ground
    shares = np.clip(((image - ground) @ offset) / max(1e-6, float(offset @ offset)), 0, 1)
    fit = np.exp(-((np.linalg.norm(seen - _PALETTE[color]) / 0.3) ** 2))
    return shares, float(fit)


def _color(parts: list[Part]) -> str:
    """The color that covers two thirds of some parts."""
    areas = np.bincount([color for color, _ in parts], [region.sum() for _, region in parts], len(COLORS))
    return COLORS[int(areas.argmax())] if areas.max() >= areas.sum() * 2 / 3 else MIXED


def _near(shares: Array, region: Array, others: Array, distance: int) -> Array:
    """The shares within some pixels of the region and outside all others; nothing elsewhere."""
    return np.where(ndimage.binary_dilation(region, iterations=distance) & ~others, shares, 0.0)


def _edge_width(mask: Array) -> float:
    """Width of a soft mask's edge in pixels: about 1/6 where it is sharp, 0.56 sigma where it is blurred by sigma."""
    rows, columns = np.gradient(mask)
    length = np.hypot(rows, columns).sum()
    return float((mask * (1 - mask)).sum() / max(length, 1e-6))


def _crisp(mask: Array) -> Array:
    """A soft mask of higher contrast."""
    crisp: Array = np.clip((mask - 0.5) * _CRISPNESS + 0.5, 0, 1)
    return crisp


_SHIFTS = np.array([(x, y) for x in (-0.4, 0.0, 0.4) for y in (-0.4, 0.0, 0.4)])
_SCALES = np.array([0.92, 1.0, 1.08])


def _overlaps(mask: Array) -> tuple[Array, Array]:
    """Best soft intersection over union of a mask with each shape's template, [shapes], and the radii that fit."""
    areas, centroids = _moments()
    ys, xs = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    mass = mask.sum()
    center = np.array([(mask * xs).sum(), (mask * ys).sum()]) / mass
    radii = np.sqrt(mass / areas)[:, None, None] * _SCALES[None, :, None]
    origins = center + _SHIFTS - centroids[:, None, None, :] * radii[..., None]
    rows = np.flatnonzero(mask.sum(1))
    columns = np.flatnonzero(mask.sum(0))
    window = np.s_[max(0, rows[0] - 2) : rows[-1] + 3, max(0, columns[0] - 2) : columns[-1] + 3]
    u = (xs[0, window[1]] - origins[..., 0, None]) / radii[..., None]
    v = (ys[window[0], 0] - origins[..., 1, None]) / radii[..., None]
    drawn = _sample(u, v, radii)
    seen, drawn = _crisp(mask[window]), _crisp(drawn)
    union = np.maximum(drawn, seen).sum((-2, -1))
    overlap = np.minimum(drawn, seen).sum((-2, -1)) / union
    best = overlap.reshape(len(SHAPES), -1)
    return best.max(axis=1), np.take_along_axis(
        np.broadcast_to(radii, overlap.shape).reshape(len(SHAPES), -1), best.argmax(1)[:, None], 1
    )[:, 0]


@cache
def _framed() -> Array:
    """The templates with an empty cell on every side, where all that lies outside of them is found."""
    return np.pad(_templates(), ((0, 0), (1, 1), (1, 1)))


def _cells(along: Array) -> Array:
    """The framed templates' cells for positions, in radii, along one of their sides."""
    cells: Array = (
        np.floor((along + _TEMPLATE_SPAN) * (_TEMPLATE_SIDE / (2 * _TEMPLATE_SPAN))).astype(int) + 1
    )
    return cells.clip(0, _TEMPLATE_SIDE + 1)


def _sample(u: Array, v: Array, radii: Array) -> Array:
    """Coverage [shapes, ..., H, W] by templates of pixels in columns u [shapes, ..., W] and rows v [shapes, ..., H].

    It is the mean of four points in each pixel, nearest template cell.
    """
    side = _TEMPLATE_SIDE + 2
    first = (np.arange(len(SHAPES)) * side * side).reshape(-1, *([1] * (u.ndim - 1)))
    quarter = 0.25 / radii[..., None]
    columns, rows = ([_cells(along + step) for step in (-quarter, quarter)] for along in (u, v))
    starts = [first + row * side for row in rows]
    total: Any = sum(
        _framed().take(start[..., :, None] + column[..., None, :]) for column in columns for start in starts
    )
    coverage: Array = total / 4
    return coverage


def _score(overlap: float, margin: float, edge_width: float, color_fit: float, radius: float) -> float:
    """Confidence in [0, 1]: falls steeply where one of the criteria is not met, and multiplies them."""
    if not _SMALLEST_RADIUS < radius < _LARGEST_RADIUS:
        return 0.0
    fit, clear = expit((overlap - 0.70) / 0.025), expit((margin - 0.01) / 0.008)
    sharp, named = expit((0.56 - edge_width) / 0.02), expit((color_fit - 0.45) / 0.06)
    return float(fit * clear * sharp * named)


def _recognized(image: Array, ground: Array, parts: list[Part], everything: Array) -> Found | None:
    """The object that some parts together most look like, or None where next to nothing is left of them."""
    region = np.logical_or.reduce([part for _, part in parts])
    others = everything & ~region
    each = [_shares(image, ground, part) for part in parts]
    shares = np.max([share for share, _ in each], axis=0)
    color_fit = float(np.average([fit for _, fit in each], weights=[part.sum() for _, part in parts]))
    mask = _near(shares, region, others, 1)
    rows, columns = np.flatnonzero((mask > 0.5).any(1)), np.flatnonzero((mask > 0.5).any(0))
    if mask.sum() < _SMALLEST / 2 or len(rows) == 0:
        return None
    overlaps, radii = _overlaps(mask)
    best, second = np.argsort(overlaps)[::-1][:2]
    width = _edge_width(_near(shares, region, others, 4))
    score = _score(overlaps[best], overlaps[best] - overlaps[second], width, color_fit, radii[best])
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    return Found(SHAPES[best], _color(parts), box, score, mask)


def _things(image: Array, ground: Array, parts: list[Part], everything: Array) -> list[Found]:
    """What a component shows: one object a part, or a single one where that fits better than each of them."""
    apart = [_recognized(image, ground, [part], everything) for part in parts]
    found = [thing for thing in apart if thing is not None]
    whole = _recognized(image, ground, parts, everything) if len(parts) > 1 else None
    if whole is not None and whole.score > max((thing.score for thing in found), default=0.0):
        return [whole]
    return found


def detect(image: np.ndarray) -> list[Found]:
    """Find the shapes in an image.

    Args:
        image: uint8 [SIZE, SIZE, 3].

    Returns:
        Everything found, also what has a low score, in order of falling score.
    """
    if image.shape != (SIZE, SIZE, 3) or image.dtype != np.uint8:
        raise ValueError(f"the judge reads uint8 images of {SIZE}x{SIZE}x3, not {image.dtype} {image.shape}")
    pixels = image.astype(np.float64) / 255
    ground = _ground(pixels)
    components = _components(pixels, ground)
    regions = [region for parts in components for _, region in parts]
    everything = np.logical_or.reduce([np.zeros((SIZE, SIZE), dtype=bool), *regions])
    found = [thing for parts in components for thing in _things(pixels, ground, parts, everything)]
    return sorted(found, key=lambda thing: -thing.score)
