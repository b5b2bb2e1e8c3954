"""How good the generator is: by task and number of steps, and what the best of many noises could reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.progress import track

from hypernoise.experiments.statistics import Estimates, bootstrap_interval, paired_difference
from hypernoise.shapes.evaluation.measured import Measured, estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.shapes.evaluation.suite import Drawn, Suite

SEEDS = 4
STEPS = (1, 2, 4)


def _rows(part: str, condition: str, found: Estimates) -> list[Measured]:
    every = {"overall": found.overall, **found.tasks}
    return [estimate(part, what, condition, one) for what, one in every.items()]


def generator_scores(suite: Suite) -> list[Measured]:
    """GenEval's score of one, two and four steps on the suite, by task."""
    rows = []
    for steps in track(STEPS, description="generator"):
        right = [suite.draw(seed, steps=steps).right for seed in range(SEEDS)]
        condition = f"{steps} step" + ("s" if steps > 1 else "")
        rows += _rows("generator", condition, bootstrap_interval(suite.scores(right)))
    return rows


def single_step_scores(suite: Suite, candidates: Sequence[Drawn]) -> list[Measured]:
    """The score of one step from all candidates' noises: tasks of few prompts need more images than four seeds give."""
    found = bootstrap_interval(suite.scores([drawn.right for drawn in candidates]))
    return _rows("generator", f"1 step, {len(candidates)} noises", found)


def head_room(suite: Suite, candidates: Sequence[Drawn]) -> list[Measured]:
    """What the judge itself could pick among the candidates, and how much that is above the first one."""
    base = suite.scores([candidates[0].right])
    oracle = suite.scores([np.any([drawn.right for drawn in candidates], axis=0)])
    name = f"best of {len(candidates)} by the judge"
    return [
        *_rows("head-room", name, bootstrap_interval(oracle)),
        *_rows("head-room", f"{name}, above base", paired_difference(oracle, base)),
    ]
