"""Measured shares and scores with their 95% intervals, as rows of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.experiments.statistics import Estimate


@dataclass(frozen=True)
class Measured:
    """One number: of which part, of what, under which condition, its 95% interval and how many images it rests on."""

    part: str
    what: str
    condition: str
    value: float
    low: float
    high: float
    images: int


def share(part: str, what: str, condition: str, right: Sequence[bool] | np.ndarray) -> Measured:
    """A share of independent cases, with Wilson's interval."""
    found = binomtest(int(np.sum(right)), len(right))
    interval = found.proportion_ci(method="wilson")
    return Measured(part, what, condition, found.statistic, interval.low, interval.high, len(right))


def estimate(part: str, what: str, condition: str, found: Estimate) -> Measured:
    """A score over prompts, with its bootstrapped interval."""
    return Measured(part, what, condition, found.mean, found.low, found.high, found.images)
