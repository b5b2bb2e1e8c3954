"""`hn shapes evaluate`: how good the embedded world's judge and reward are, on fresh scenes with exact truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import ndimage

from hypernoise.files import write_atomically
from hypernoise.pixels import to_images
from hypernoise.rewards.shapes import ShapesMatch
from hypernoise.shapes.captions import NEGATIVES, Description, negative, random_description, scene_for
from hypernoise.shapes.judge import detect
from hypernoise.shapes.scenes import render
from hypernoise.shapes.suite import SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from hypernoise.shapes.scenes import Scene

SEED = 2026
COUNTING_THRESHOLD, THRESHOLD = 0.9, 0.3  # GenEval's

Disturbance = Callable[[np.ndarray, np.random.Generator], np.ndarray]
DISTURBANCES: dict[str, Disturbance] = {
    "clean": lambda image, _: image,
    "noise 0.1": lambda image, rng: image + rng.normal(0, 0.1, image.shape),
    "blur 0.7 px": lambda image, _: ndimage.gaussian_filter(image, (0.7, 0.7, 0)),
    "blur 2 px": lambda image, _: ndimage.gaussian_filter(image, (2, 2, 0)),
    "noise 0.35": lambda image, rng: image + rng.normal(0, 0.35, image.shape),
}
"""What is done to a scene before it is judged; the last two make it unreadable, and nothing should be found."""


def _disturbed(scene: Scene, disturbance: Disturbance, rng: np.random.Generator) -> np.ndarray:
    image = disturbance(render(scene).astype(np.float64) / 255, rng)
    pixels: np.ndarray = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    return pixels


def exactly_right(scene: Scene, image: np.ndarray, threshold: float) -> bool:
    """Whether the judge finds just the scene's objects, by shape and color."""
    truth = sorted((thing.shape, thing.color) for thing in scene.objects)
    return truth == sorted((found.shape, found.color) for found in detect(image) if found.score > threshold)


def judge_accuracy(scenes: int) -> pd.DataFrame:
    """Share of scenes judged exactly right: columns part, task, condition, value, n."""
    rng = np.random.default_rng(SEED)
    rows = []
    for task in track(list(SIZES), description="judge"):
        drawn = [scene_for(rng, random_description(rng, task)) for _ in range(scenes)]
        threshold = COUNTING_THRESHOLD if task == "counting" else THRESHOLD
        for name, disturbance in DISTURBANCES.items():
            right = [exactly_right(s, _disturbed(s, disturbance, rng), threshold) for s in drawn]
            rows.append(("judge", task, name, float(np.mean(right)), scenes))
    return pd.DataFrame(rows, columns=["part", "task", "condition", "value", "n"])


def _case(rng: np.random.Generator, kind: str) -> tuple[Description, Description]:
    tasks = [*SIZES, "colored_position", "colored_counting", "scene"]
    while True:
        description = random_description(rng, str(rng.choice(tasks)))
        wrong = negative(rng, description, kind)
        if wrong is not None:
            return description, wrong


@torch.no_grad()
def reward_accuracy(cases: int) -> pd.DataFrame:
    """Share of scenes whose true caption scores above a near miss: columns as `judge_accuracy`."""
    rng = np.random.default_rng(SEED + 1)
    reward = ShapesMatch.load(torch.device("cpu"))
    rows = []
    for kind in track(NEGATIVES, description="reward"):
        drawn = [_case(rng, kind) for _ in range(cases)]
        scenes = [scene_for(rng, true) for true, _ in drawn]
        texts = [reward.encode([pair[side].text() for pair in drawn]) for side in (0, 1)]
        for name in ("clean", "noise 0.1", "blur 0.7 px"):
            pixels = np.stack([_disturbed(scene, DISTURBANCES[name], rng) for scene in scenes])
            images = to_images(pixels)
            true, wrong = (reward.score(images, text) for text in texts)
            rows.append(("shapes-match", kind, name, float((true > wrong).float().mean()), cases))
    return pd.DataFrame(rows, columns=["part", "task", "condition", "value", "n"])


def evaluate_parts(scenes: int, results: Path) -> None:
    """Measure, print and write `shapes/parts.csv` below the results folder."""
    frame = pd.concat([judge_accuracy(scenes), reward_accuracy(scenes)])
    write_atomically(results / "shapes" / "parts.csv", frame.to_csv(index=False).encode())
    console = Console()
    for part, group in frame.groupby("part", sort=False):
        wide = group.pivot_table(index="task", columns="condition", values="value", sort=False)
        table = Table(title=f"{part}: share right, {scenes} each")
        for column in ["", *wide.columns]:
            table.add_column(str(column))
        for task, row in wide.iterrows():
            table.add_row(str(task), *(f"{value:.3f}" for value in row))
        console.print(table)
    console.print(f"Written to {results / 'shapes' / 'parts.csv'}", highlight=False)
