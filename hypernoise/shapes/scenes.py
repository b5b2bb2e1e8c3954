"""Scenes of the embedded world: exact ground truth, drawn with antialiasing on a slightly varied grey ground."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from hypernoise.shapes.geometry import outline, reach
from hypernoise.shapes.vocabulary import PALETTE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZE = 32
"""Width and height of an image in pixels."""

GAP = 1.5
"""Least distance between two objects, in pixels: objects never touch."""

RADII = {1: (6.5, 9.0), 2: (5.4, 7.2), 3: (4.9, 6.2), 4: (4.6, 5.4)}
"""Range of an object's radius in pixels, by the number of objects in the scene."""

_EXTENT = 1.15  # no outline reaches farther to the left, right, top or bottom than this many radii
_SUPERSAMPLING = 8
_COLOR_JITTER = 0.03


@dataclass(frozen=True)
class Object:
    """One drawn object: center and radius in pixels, `rgb` in [0, 1]."""

    shape: str
    color: str
    x: float
    y: float
    radius: float
    rgb: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """A ground and one to four objects on it."""

    objects: tuple[Object, ...]
    ground: tuple[float, float, float]


def random_rgb(rng: np.random.Generator, color: str) -> tuple[float, float, float]:
    """A slightly varied palette color."""
    rgb = np.clip(np.array(PALETTE[color]) + rng.uniform(-_COLOR_JITTER, _COLOR_JITTER, 3), 0, 1)
    return (float(rgb[0]), float(rgb[1]), float(rgb[2]))


def random_ground(rng: np.random.Generator) -> tuple[float, float, float]:
    """A grey between 0.45 and 0.6 with a trace of color."""
    rgb = rng.uniform(0.45, 0.60) + rng.uniform(-0.015, 0.015, 3)
    return (float(rgb[0]), float(rgb[1]), float(rgb[2]))


Place = tuple[float, float, float]
"""Center and radius (x, y, radius) in pixels."""


def _apart(one: str, here: Place, other: str, there: Place) -> bool:
    """Whether the circles of two shapes lie GAP apart, and so do their outlines, corners included."""
    dx, dy = there[0] - here[0], there[1] - here[1]
    distance = math.hypot(dx, dy)
    if distance < here[2] + there[2] + GAP:
        return False
    dx, dy = dx / distance, dy / distance
    return distance >= here[2] * reach(one, dx, dy) + there[2] * reach(other, -dx, -dy) + GAP


def random_layout(
    rng: np.random.Generator, shapes: Sequence[str], suits: Callable[[list[Place]], bool] = lambda _: True
) -> list[Place]:
    """Places of the shapes, which neither touch each other nor leave the image.

    `suits` is asked about the first places, one more each time, and may refuse the last of them.
    """
    while True:
        placed: list[Place] = []
        for _ in range(60):
            radius = rng.uniform(*RADII[len(shapes)])
            margin = radius * _EXTENT
            x, y = rng.uniform(margin, SIZE - margin, 2)
            place = (float(x), float(y), float(radius))
            shape = shapes[len(placed)]
            apart = all(_apart(shape, place, *other) for other in zip(shapes, placed, strict=False))
            if apart and suits([*placed, place]):
                placed.append(place)
            if len(placed) == len(shapes):
                return placed


def _byte_color(rgb: tuple[float, float, float]) -> tuple[int, int, int]:
    r, g, b = (round(255 * channel) for channel in rgb)
    return (r, g, b)


def _vertices(thing: Object) -> list[tuple[float, float]]:
    points = (outline(thing.shape) * thing.radius + (thing.x, thing.y)) * _SUPERSAMPLING - 0.5
    return [(float(x), float(y)) for x, y in points]


def render(scene: Scene) -> np.ndarray:
    """Draw a scene.

    Returns:
        uint8 [SIZE, SIZE, 3].
    """
    side = SIZE * _SUPERSAMPLING
    image = Image.new("RGB", (side, side), _byte_color(scene.ground))
    draw = ImageDraw.Draw(image)
    for thing in scene.objects:
        draw.polygon(_vertices(thing), fill=_byte_color(thing.rgb))
    return np.asarray(image.reduce(_SUPERSAMPLING))


def coverage(thing: Object) -> np.ndarray:
    """Exact mask of one object: the covered part of each pixel, float32 [SIZE, SIZE] in [0, 1]."""
    side = SIZE * _SUPERSAMPLING
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).polygon(_vertices(thing), fill=255)
    return np.asarray(mask.reduce(_SUPERSAMPLING), dtype=np.float32) / 255
