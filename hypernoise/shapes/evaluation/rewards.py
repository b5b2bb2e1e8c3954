"""How often a reward is right: about captions, drawn and generated, and about pairs of generated images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.progress import track

from hypernoise.experiments.statistics import Scores, bootstrap_interval
from hypernoise.pixels import to_images
from hypernoise.shapes.captions import NEGATIVES, Description, negative, scene_for
from hypernoise.shapes.evaluation.measured import Measured, estimate, share
from hypernoise.shapes.evaluation.scenes import READABLE, disturbed, near_miss
from hypernoise.shapes.suite import evaluation_suite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.rewards.shapes import ShapesReward
    from hypernoise.shapes.evaluation.suite import Drawn, Suite

SEED = 2027
MISSES = 4
"""Near misses of each kind that a generated image is tried with."""


def _above(
    reward: ShapesReward, images: np.ndarray, captions: Sequence[tuple[Description, Description]]
) -> np.ndarray:
    """Whether each image scores its first caption above its second, bool [B]."""
    seen = to_images(images)
    true, wrong = (
        reward.score(seen, reward.encode([pair[side].text() for pair in captions])) for side in (0, 1)
    )
    above: np.ndarray = (true > wrong).numpy()
    return above


def _rows(part: str, condition: str, right: dict[str, np.ndarray]) -> list[Measured]:
    every = {"all kinds": np.concatenate(list(right.values())), **right}
    return [share(part, kind, condition, verdicts) for kind, verdicts in every.items()]


@torch.no_grad()
def on_drawn_scenes(reward: ShapesReward, cases: int) -> list[Measured]:
    """Share of drawn scenes whose true caption scores above a near miss, by kind and disturbance."""
    rng = np.random.default_rng(SEED)
    right: dict[str, dict[str, np.ndarray]] = {name: {} for name in READABLE}
    for kind in NEGATIVES:
        captions = [near_miss(rng, kind) for _ in range(cases)]
        scenes = [scene_for(rng, true) for true, _ in captions]
        for name, disturbance in READABLE.items():
            images = np.stack([disturbed(scene, disturbance, rng) for scene in scenes])
            right[name][kind] = _above(reward, images, captions)
    return [row for name in READABLE for row in _rows(reward.name, name, right[name])]


@torch.no_grad()
def on_generated_images(reward: ShapesReward, candidates: Sequence[Drawn]) -> list[Measured]:
    """The same for generated images of the suite that are right, the first right candidate of each prompt."""
    rng = np.random.default_rng(SEED)
    verdicts = np.stack([drawn.right for drawn in candidates])
    images = np.stack([drawn.images for drawn in candidates])
    right = {}
    for kind in NEGATIVES:
        pairs: list[tuple[Description, Description]] = []
        seen: list[np.ndarray] = []
        for prompt, (_, description) in enumerate(evaluation_suite()):
            if verdicts[:, prompt].any():
                misses = [negative(rng, description, kind) for _ in range(MISSES)]
                pairs += [(description, wrong) for wrong in dict.fromkeys(misses) if wrong is not None]
                seen += [images[verdicts[:, prompt].argmax(), prompt]] * (len(pairs) - len(seen))
        right[kind] = _above(reward, np.stack(seen), pairs)
    return _rows(reward.name, "generated", right)


@torch.no_grad()
def agreement(reward: ShapesReward, suite: Suite, candidates: Sequence[Drawn]) -> list[Measured]:
    """Share of pairs of one prompt's images, one right and one wrong, of which the reward prefers the right one.

    Prompts whose images are all right or all wrong have no such pair; each other prompt counts once.
    """
    text = reward.encode([prompt.text for prompt in suite.prompts])
    scores = np.stack([reward.score(to_images(drawn.images), text).numpy() for drawn in candidates])
    verdicts = np.stack([drawn.right for drawn in candidates])
    columns: list[tuple[str, int, int, float]] = []
    for prompt in suite.prompts:
        own, right = scores[:, prompt.index], verdicts[:, prompt.index]
        if right.any() and not right.all():
            preferred = float((own[right][:, None] > own[~right]).mean())
            columns.append((prompt.task, prompt.index, 0, preferred))
    found = bootstrap_interval(Scores(*map(list, zip(*columns, strict=True))))
    every = {"overall": found.overall, **found.tasks}
    return [estimate(reward.name, task, "agreement with the judge", one) for task, one in every.items()]


def reward_rows(
    rewards: Sequence[ShapesReward], suite: Suite, candidates: Sequence[Drawn], cases: int
) -> list[Measured]:
    """All of the above for each reward."""
    rows: list[Measured] = []
    for reward in track(rewards, description="rewards"):
        rows += on_drawn_scenes(reward, cases)
        rows += on_generated_images(reward, candidates)
        rows += agreement(reward, suite, candidates)
    return rows
