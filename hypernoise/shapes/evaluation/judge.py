"""How often the judge is right on scenes with exact truth, readable and unreadable ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.progress import track

from hypernoise.shapes.captions import random_description, scene_for
from hypernoise.shapes.evaluation.measured import Measured, share
from hypernoise.shapes.evaluation.scenes import READABLE, UNREADABLE, disturbed
from hypernoise.shapes.judge import detect
from hypernoise.shapes.suite import SIZES

if TYPE_CHECKING:
    from hypernoise.shapes.scenes import Scene

SEED = 2026
COUNTING_THRESHOLD, THRESHOLD = 0.9, 0.3  # GenEval's


def exactly_right(scene: Scene, image: np.ndarray, threshold: float) -> bool:
    """Whether the judge finds just the scene's objects, by shape and color."""
    truth = sorted((thing.shape, thing.color) for thing in scene.objects)
    return truth == sorted((found.shape, found.color) for found in detect(image) if found.score > threshold)


def judge_accuracy(scenes: int) -> list[Measured]:
    """Share of readable scenes judged exactly right, and of unreadable ones in which something is found."""
    rng = np.random.default_rng(SEED)
    rows = []
    for task in track(list(SIZES), description="judge"):
        drawn = [scene_for(rng, random_description(rng, task)) for _ in range(scenes)]
        threshold = COUNTING_THRESHOLD if task == "counting" else THRESHOLD
        for name, disturbance in READABLE.items():
            right = [exactly_right(scene, disturbed(scene, disturbance, rng), threshold) for scene in drawn]
            rows.append(share("judge: exactly right", task, name, right))
        for name, disturbance in UNREADABLE.items():
            images = [disturbed(scene, disturbance, rng) for scene in drawn]
            found = [any(thing.score > threshold for thing in detect(image)) for image in images]
            rows.append(share("judge: finds something", task, name, found))
    return rows
