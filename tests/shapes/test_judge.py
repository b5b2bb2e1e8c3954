"""The judge against exact ground truth, on clean and disturbed scenes, and on pictures that show nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.geneval import prompts as grammar
from benchmarks.geneval.benchmark import judge_shapes, shapes_prompts
from hypernoise.experiments.benchmark import Prompt
from hypernoise.shapes.captions import Description, Phrase, random_description, scene_for
from hypernoise.shapes.judge import detect
from hypernoise.shapes.scenes import SIZE, Object, Scene, coverage, render
from hypernoise.shapes.suite import SIZES, evaluation_suite
from hypernoise.shapes.vocabulary import COLORS, PALETTE, SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
GREY = (0.525, 0.525, 0.525)


def image_of(values: Floats) -> Image:
    pixels: Image = (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
    return pixels


def blurred(image: Image, sigma: float) -> Image:
    return image_of(ndimage.gaussian_filter(image / 255, (sigma, sigma, 0)))


def exactly_right(scene: Scene, image: Image, threshold: float) -> bool:
    truth = sorted((thing.shape, thing.color) for thing in scene.objects)
    return truth == sorted((found.shape, found.color) for found in detect(image) if found.score > threshold)


@pytest.mark.parametrize("task", SIZES)
def test_clean_and_slightly_disturbed_scenes_are_read_exactly(task: str) -> None:
    rng = np.random.default_rng(20)
    threshold, number = (0.9, 60) if task == "counting" else (0.3, 30)
    scenes = [scene_for(rng, random_description(rng, task)) for _ in range(number)]
    images = [render(scene) for scene in scenes]
    noisy = [image_of(image / 255 + rng.normal(0, 0.1, image.shape)) for image in images]
    soft = [blurred(image, 0.7) for image in images]
    for disturbed, bar in ((images, 0.98), (noisy, 0.95), (soft, 0.95)):
        right = [exactly_right(s, image, threshold) for s, image in zip(scenes, disturbed, strict=True)]
        assert np.mean(right) >= bar


@pytest.mark.parametrize("color", COLORS)
def test_every_shape_in_every_color(color: str) -> None:
    rgb = PALETTE[color]
    for ground in (0.45, 0.60):
        for shape in SHAPES:
            thing = Object(shape, color, 15.2, 16.7, 6.3, rgb)
            (found,) = detect(render(Scene((thing,), (ground, ground, ground))))
            assert (found.shape, found.color) == (shape, color)
            assert found.score > 0.9


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.5, 0.75])
def test_an_object_of_two_colors_is_one_object(shape: str, share: float) -> None:
    """A color of two thirds names it; otherwise it is mixed, and right for no color."""
    red, blue = (
        render(Scene((Object(shape, color, 16, 16, 7.5, PALETTE[color]),), GREY)) for color in ("red", "blue")
    )
    drawn = (coverage(Object(shape, "red", 16, 16, 7.5, PALETTE["red"])) > 0.5).sum(1).cumsum()
    edge = int(np.searchsorted(drawn, share * drawn[-1]))
    found = [thing for thing in detect(np.concatenate([red[:edge], blue[edge:]])) if thing.score > 0.3]
    assert [thing.shape for thing in found] == [shape]
    assert found[0].color == ("mixed" if share == 0.5 else "red")


def test_touching_objects_of_two_colors_stay_two() -> None:
    for first in SHAPES:
        left, right = (
            Object(first, "red", 11, 16, 5.5, PALETTE["red"]),
            Object("square", "blue", 19.5, 16, 5, PALETTE["blue"]),
        )
        found = [thing for thing in detect(render(Scene((left, right), GREY))) if thing.score > 0.3]
        assert ("square", "blue") in [(thing.shape, thing.color) for thing in found]
        assert all(thing.color in ("red", "blue") for thing in found)


@pytest.mark.parametrize("task", ["two_object", "counting", "position"])
def test_boxes_and_masks_are_the_objects_within_a_pixel(task: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(15):
        scene = scene_for(rng, random_description(rng, task))
        found = detect(render(scene))
        assert len(found) == len(scene.objects)
        for thing in scene.objects:
            truth = coverage(thing)
            one = max(found, key=lambda other: float(np.minimum(other.mask, truth).sum()))
            solid = truth > 0.5
            rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            assert np.abs(box - one.box).max() <= 1
            seen = one.mask > 0.5
            assert not (seen & ~ndimage.binary_dilation(solid)).any()
            assert not (ndimage.binary_erosion(solid) & ~seen).any()
            assert one.mask.min() >= 0
            assert one.mask.max() <= 1
            assert np.abs(one.mask - truth).sum() < 0.1 * truth.sum()


def test_scores_fall_as_blur_grows() -> None:
    sigmas = (0.0, 0.7, 1.0, 1.3, 2.0, 4.0)
    scores = []
    for shape in SHAPES:
        scene = Scene((Object(shape, "red", 16, 16, 7.0, PALETTE["red"]),), GREY)
        found = [detect(blurred(render(scene), sigma)) for sigma in sigmas]
        scores.append([max((thing.score for thing in things), default=0.0) for things in found])
    mean = np.mean(scores, axis=0)
    assert (np.diff(mean) <= 0).all()
    assert mean[0] > 0.95
    assert mean[1] > 0.9
    assert mean[-2] < 0.05
    for of_shape in scores:
        assert of_shape[0] > 0.9
        assert of_shape[0] >= of_shape[2] >= of_shape[4]


def noise(rng: np.random.Generator) -> Floats:
    return rng.random((SIZE, SIZE, 3))


def grey_noise(rng: np.random.Generator) -> Floats:
    return 0.525 + rng.normal(0, 0.35, (SIZE, SIZE, 3))


def black_and_white_noise(rng: np.random.Generator) -> Floats:
    return np.repeat(rng.integers(0, 2, (SIZE, SIZE, 1)), 3, axis=2).astype(np.float64)


def grey(rng: np.random.Generator) -> Floats:
    return np.full((SIZE, SIZE, 3), rng.uniform(0, 1))


def one_color(rng: np.random.Generator) -> Floats:
    return np.broadcast_to(PALETTE[str(rng.choice(COLORS))], (SIZE, SIZE, 3)).astype(np.float64)


def heavy_blur(rng: np.random.Generator) -> Floats:
    scene = scene_for(rng, random_description(rng, str(rng.choice(list(SIZES)))))
    return blurred(render(scene), float(rng.uniform(3, 5))) / 255


def soft_lumps(rng: np.random.Generator) -> Floats:
    """One to three Gaussian lumps in palette colors, what a bad generator draws."""
    image = np.full((SIZE, SIZE, 3), 0.525)
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    for _ in range(rng.integers(1, 4)):
        (u, v), (width, height) = rng.uniform(6, 26, 2), rng.uniform(2.5, 5, 2)
        share = np.exp(-0.5 * (((x - u) / width) ** 2 + ((y - v) / height) ** 2))[..., None]
        image = image * (1 - share) + share * np.array(PALETTE[str(rng.choice(COLORS))])
    return image


def color_clouds(rng: np.random.Generator) -> Floats:
    clouds = ndimage.gaussian_filter(rng.normal(0, 1, (SIZE, SIZE, 3)), (3, 3, 0))
    return 0.525 + 0.25 * clouds / clouds.std()


UNREADABLE = (
    noise,
    grey_noise,
    black_and_white_noise,
    grey,
    one_color,
    heavy_blur,
    soft_lumps,
    color_clouds,
)


@pytest.mark.parametrize("draw", UNREADABLE)
def test_nothing_is_found_where_nothing_is_to_be_seen(draw: Callable[[np.random.Generator], Floats]) -> None:
    rng = np.random.default_rng(11)
    scores = [max((thing.score for thing in detect(image_of(draw(rng)))), default=0.0) for _ in range(30)]
    assert np.mean(np.array(scores) > 0.3) <= 1 / 30  # a lump may by chance be sharp and round


def test_specks_and_giants_are_no_objects() -> None:
    for radius in (2.6, 15.0):
        scene = Scene((Object("square", "red", 16, 16, radius, PALETTE["red"]),), GREY)
        assert not [found for found in detect(render(scene)) if found.score > 0.3]


def test_colors_that_no_caption_names_are_not_found() -> None:
    cyan = (0.3, 0.9, 0.95)
    assert not [
        found
        for found in detect(render(Scene((Object("circle", "blue", 16, 16, 7.0, cyan),), GREY)))
        if found.score > 0.3
    ]


def test_found_objects_come_in_order_of_falling_score() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        scene = scene_for(rng, random_description(rng, "scene"))
        scores = [found.score for found in detect(blurred(render(scene), 0.9))]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize(
    "image", [np.zeros((SIZE, SIZE, 3)), np.zeros((SIZE, SIZE), np.uint8), np.zeros((16, 16, 3), np.uint8)]
)
def test_other_images_are_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="32x32x3"):
        detect(image)


def test_geneval_passes_true_scenes_and_fails_those_of_other_prompts() -> None:
    rng = np.random.default_rng(7)
    chosen = range(0, 300, 6)
    prompts = [Prompt(i, p["prompt"], p["tag"], p) for i, p in enumerate(shapes_prompts())]
    asked = [prompts[i] for i in chosen]
    images = [render(scene_for(rng, evaluation_suite()[i][1])) for i in chosen]
    judged = judge_shapes(images, asked)
    assert np.mean([j.score for j in judged]) >= 0.98
    empty = [render(Scene((), GREY))] * len(asked)
    assert sum(j.score for j in judge_shapes(empty, asked)) == 0


def test_geneval_fails_scenes_that_miss_by_one_thing() -> None:
    rng = np.random.default_rng(8)
    by_task = {
        "counting": (Description((Phrase("star", count=3),)), Description((Phrase("star", count=4),))),
        "colors": (Description((Phrase("ring", "red"),)), Description((Phrase("ring", "pink"),))),
        "position": (
            Description((Phrase("ring"), Phrase("heart")), ("above",)),
            Description((Phrase("ring"), Phrase("heart")), ("left of",)),
        ),
        "color_attr": (
            Description((Phrase("ring", "red"), Phrase("moon", "blue"))),
            Description((Phrase("ring", "blue"), Phrase("moon", "red"))),
        ),
    }
    asked = {
        "counting": grammar.counting("star", 3),
        "colors": grammar.colored("ring", "red"),
        "position": grammar.position("ring", "above", "heart"),
        "color_attr": grammar.color_attribution("ring", "red", "moon", "blue"),
    }
    for task, (right, wrong) in by_task.items():
        prompt = Prompt(0, asked[task]["prompt"], task, asked[task])
        images = [render(scene_for(rng, description)) for description in (right, wrong)]
        assert [j.score for j in judge_shapes(images, [prompt, prompt])] == [1.0, 0.0]
