"""Fresh scenes with exact truth, and what is done to them before they are judged or scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from hypernoise.shapes.captions import Description, negative, random_description
from hypernoise.shapes.scenes import render
from hypernoise.shapes.suite import SIZES, reserved

if TYPE_CHECKING:
    from hypernoise.shapes.scenes import Scene

Disturbance = Callable[[np.ndarray, np.random.Generator], np.ndarray]
READABLE: dict[str, Disturbance] = {
    "clean": lambda image, _: image,
    "noise 0.1": lambda image, rng: image + rng.normal(0, 0.1, image.shape),
    "blur 0.7 px": lambda image, _: ndimage.gaussian_filter(image, (0.7, 0.7, 0)),
}
UNREADABLE: dict[str, Disturbance] = {
    "blur 2 px": lambda image, _: ndimage.gaussian_filter(image, (2, 2, 0)),
    "noise 0.35": lambda image, rng: image + rng.normal(0, 0.35, image.shape),
}
"""What leaves nothing that a person could name; nothing should be found."""


def disturbed(scene: Scene, disturbance: Disturbance, rng: np.random.Generator) -> np.ndarray:
    """The drawn scene after a disturbance, uint8 [32, 32, 3]."""
    image = disturbance(render(scene).astype(np.float64) / 255, rng)
    pixels: np.ndarray = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    return pixels


def near_miss(rng: np.random.Generator, kind: str) -> tuple[Description, Description]:
    """A description that no training has seen, and a near miss of it."""
    tasks = [*SIZES, "colored_position", "colored_counting", "scene", "arrangement"]
    while True:
        description = random_description(rng, str(rng.choice(tasks)))
        several = sum(phrase.color is not None for phrase in description.phrases) > 1
        if several and not reserved(description):
            continue
        wrong = negative(rng, description, kind)
        if wrong is not None:
            return description, wrong
