"""Scenes against their ground truth: what is drawn is what the scene says, and nothing touches."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypernoise.shapes.captions import random_description, scene_for
from hypernoise.shapes.geometry import outline, reach
from hypernoise.shapes.scenes import GAP, RADII, SIZE, Object, Scene, coverage, random_layout, render
from hypernoise.shapes.suite import SIZES
from hypernoise.shapes.vocabulary import PALETTE, SHAPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

TASKS = (*SIZES, "colored_position", "colored_counting", "scene")


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return scene_for(rng, random_description(rng, draw(st.sampled_from(TASKS))))


def rim(thing: Object) -> NDArray[np.float64]:
    """Points on an object's outline, at most a tenth of a pixel apart, [N, 2]."""
    corners = outline(thing.shape) * thing.radius + (thing.x, thing.y)
    pieces = []
    for start, stop in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        steps = 1 + int(10 * np.hypot(*(stop - start)))
        pieces.append(start + np.linspace(0, 1, steps, endpoint=False)[:, None] * (stop - start))
    return np.concatenate(pieces)


def byte_color(rgb: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.round(255 * np.array(rgb))


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_every_pixel_is_the_mixture_that_the_masks_say(scene: Scene) -> None:
    masks = [coverage(thing)[..., None] for thing in scene.objects]
    ground = (1 - np.sum(masks, axis=0)) * byte_color(scene.ground)
    expected = ground + np.sum(
        [mask * byte_color(thing.rgb) for mask, thing in zip(masks, scene.objects, strict=True)], axis=0
    )
    image = render(scene)
    assert image.shape == (SIZE, SIZE, 3)
    assert image.dtype == np.uint8
    assert np.abs(image - expected).max() <= 2  # bytes: the masks and the image are rounded to bytes


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_the_core_has_the_objects_color_and_the_palettes_name(scene: Scene) -> None:
    image = render(scene)
    palette = np.array(list(PALETTE.values()))
    for thing in scene.objects:
        core = coverage(thing) == 1
        assert core.sum() >= 4
        assert (image[core] == byte_color(thing.rgb)).all()
        nearest = np.linalg.norm(palette - thing.rgb, axis=1).argmin()
        assert list(PALETTE)[nearest] == thing.color
        assert np.linalg.norm(np.subtract(thing.rgb, scene.ground)) > 0.3


@settings(max_examples=80, deadline=None)
@given(scenes())
def test_objects_never_touch_nor_leave_the_image(scene: Scene) -> None:
    rims = [rim(thing) for thing in scene.objects]
    for points in rims:
        assert points.min() >= 0
        assert points.max() <= SIZE
    for one, other in combinations(rims, 2):
        distances = np.linalg.norm(one[:, None] - other[None], axis=2)
        assert distances.min() >= GAP - 0.1  # points of a rim are a tenth of a pixel apart


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_corners_of_neighbors_count(count: int) -> None:
    """Squares and triangles reach far beyond the circle of their radius; diagonal neighbors once overlapped."""
    rng = np.random.default_rng(count)
    for _ in range(40):
        shapes = [str(shape) for shape in rng.choice(["square", "triangle", "star"], count)]
        things = [
            Object(shape, "red", x, y, radius, PALETTE["red"])
            for shape, (x, y, radius) in zip(shapes, random_layout(rng, shapes), strict=True)
        ]
        low, high = RADII[count]
        assert all(low <= thing.radius <= high for thing in things)
        masks = [coverage(thing) > 0 for thing in things]
        assert np.sum(masks, axis=0).max() == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_mask_has_the_outlines_area_and_place(shape: str) -> None:
    thing = Object(shape, "red", 15.3, 16.8, 8.0, PALETTE["red"])
    x, y = outline(shape).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    area = abs(cross.sum()) / 2
    center = [float(((c + np.roll(c, -1)) * cross).sum() / (3 * cross.sum())) for c in (x, y)]
    mask = coverage(thing)
    at = np.arange(SIZE) + 0.5
    found = [float((mask.sum(axis) * at).sum() / mask.sum()) for axis in (0, 1)]
    assert mask.sum() == pytest.approx(area * thing.radius**2, rel=0.04)  # a drawn rim is 1/16 pixel wider
    assert found == pytest.approx(
        [thing.x + thing.radius * center[0], thing.y + thing.radius * center[1]], abs=1 / 8
    )


@pytest.mark.parametrize(
    ("shape", "direction", "expected"),
    [
        ("square", (1.0, 0.0), 0.88),
        ("square", (2**-0.5, 2**-0.5), 0.88 * 2**0.5),
        ("triangle", (0.0, -1.0), 1.1),
        ("triangle", (0.0, 1.0), 0.85),
        ("ring", (0.0, 1.0), 1.05),
    ],
)
def test_reach(shape: str, direction: tuple[float, float], expected: float) -> None:
    assert reach(shape, *direction) == pytest.approx(expected, abs=2e-3)


def test_outlines_differ_between_shapes() -> None:
    masks = [coverage(Object(shape, "red", 16, 16, 8.0, PALETTE["red"])) for shape in SHAPES]
    for one, other in combinations(masks, 2):
        assert np.minimum(one, other).sum() / np.maximum(one, other).sum() < 0.9
