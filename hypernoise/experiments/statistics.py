"""Intervals, paired tests and detectable differences for benchmark scores.

The unit is the prompt: its images form one cluster and are never torn apart. Prompts are stratified by task;
a task's score is the mean over its images, the overall score the unweighted mean over tasks (GenEval's).
Results do not depend on the order of the samples.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from hypernoise.experiments.benchmark import Records

CHUNK = 1000  # resamples at once: 1000 × 1065 prompts of DPG-Bench are 8.5 MB


@dataclass(frozen=True)
class Scores:
    """The scores of one run as four columns, one entry a sample.

    Attributes:
        task: Stratum of each sample.
        prompt: Cluster key of each sample, all str or all int; a prompt belongs to one task.
        seed: Tells the images of a prompt apart; all 0 where a prompt has a single score.
        value: The score, finite.

    Raises:
        ValueError: If columns are empty or of unequal length, a cluster key is missing, a value is not
            finite, a (prompt, seed) comes twice, or a prompt has two tasks.
    """

    task: Sequence[str]
    prompt: Sequence[str | int]
    seed: Sequence[int]
    value: Sequence[float]

    def __post_init__(self) -> None:
        if not len(self.task) == len(self.prompt) == len(self.seed) == len(self.value) > 0:
            raise ValueError("the columns of scores must be of one length and not empty")
        if any(key == "" or not isinstance(key, str | int | np.integer) for key in self.prompt):
            raise ValueError("a sample lacks its prompt: intervals need the cluster key of every sample")
        if not all(map(math.isfinite, self.value)):
            raise ValueError("a score is missing or not finite")
        if len(set(zip(self.prompt, self.seed, strict=True))) < len(self.prompt):
            raise ValueError("a (prompt, seed) was scored twice")
        if len(set(zip(self.prompt, self.task, strict=True))) > len(set(self.prompt)):
            raise ValueError("a prompt stands in two tasks")


def by_task(records: Records) -> Scores:
    """The scores of records with tasks as strata: the overall score is the mean of the tasks' means."""
    rows = [(each["task"], each["prompt_index"], each["seed"], each["score"]) for each in records]
    return Scores(*map(list, zip(*rows, strict=True)))


def pooled(
    records: Records, value: Callable[[Mapping[str, Any]], float] = operator.itemgetter("score")
) -> Scores:
    """A value of records in a single stratum, their score unless told: the overall one is the mean over all images."""
    rows = [("all", each["prompt_index"], each["seed"], value(each)) for each in records]
    return Scores(*map(list, zip(*rows, strict=True)))


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; `low` and `high` are NaN where a task has a single prompt."""

    mean: float
    low: float
    high: float
    prompts: int
    images: int


@dataclass(frozen=True)
class Estimates:
    """One estimate for each task, by name, and one overall."""

    tasks: dict[str, Estimate]
    overall: Estimate


@dataclass(frozen=True)
class _Stratum:
    """The clusters of one task, [P] each: sum of scores and number of images of every prompt."""

    sums: NDArray[np.float64]
    images: NDArray[np.float64]

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.images.sum())


def bootstrap_interval(
    scores: Scores, *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> Estimates:
    """Percentile intervals, bootstrapped over prompts within each task (Davison & Hinkley 1997, 3.2, 5.3.1).

    A task whose prompts all score the same gets an interval of width 0: it shows no variance to resample.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    rng = np.random.default_rng(seed)
    strata = _strata(scores)
    means = {task: _resampled_means(stratum, resamples, rng) for task, stratum in strata.items()}
    tasks = {
        task: _estimate(stratum.mean, means[task], confidence, [stratum]) for task, stratum in strata.items()
    }
    resampled = np.mean(list(means.values()), axis=0)
    return Estimates(tasks, _estimate(_overall(strata), resampled, confidence, strata.values()))


def paired_difference(
    method: Scores, base: Scores, *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> Estimates:
    """Method minus base on the same (prompt, seed) set, with intervals as `bootstrap_interval` gives them.

    Raises:
        ValueError: If the two runs do not hold the same (task, prompt, seed) items.
    """
    return bootstrap_interval(difference(method, base), resamples=resamples, confidence=confidence, seed=seed)


def difference(method: Scores, base: Scores) -> Scores:
    """The scores of the method minus those of the base, sample by sample."""
    ours, theirs = _by_item(method), _by_item(base)
    if ours.keys() != theirs.keys():
        unpaired = len(ours.keys() ^ theirs.keys())
        raise ValueError(
            f"a paired comparison needs the same (task, prompt, seed) items; {unpaired} stand alone"
        )
    task, prompt, seed = zip(*ours, strict=True)
    return Scores(task, prompt, seed, [ours[item] - theirs[item] for item in ours])


def sign_flip_p(method: Scores, base: Scores, *, flips: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the paired overall difference, 1/(flips + 1)..1.

    Under the null hypothesis each prompt's difference is as likely as its negative (Fisher's randomization
    test), so all of a prompt's images change sign together. Every flip is counted where there are at most
    `flips` of them, else that many are drawn and the observed one is added (Phipson & Smyth 2010).
    """
    strata = _strata(difference(method, base))
    shares = np.concatenate([s.sums / s.images.sum() for s in strata.values()])
    shares = shares[shares != 0]  # [P]; they add up to tasks × overall difference
    # Flips that only reorder a sum differ from the observed one by rounding; they count as equal to it.
    at_least = abs(shares.sum()) - 1e-12 * np.abs(shares).sum()
    if len(shares) <= math.log2(flips):
        signs = 1 - 2 * (np.arange(2 ** len(shares))[:, None] >> np.arange(len(shares)) & 1)
        return float(np.mean(np.abs(signs @ shares) >= at_least))
    rng = np.random.default_rng(seed)
    extreme = sum(
        int(np.sum(np.abs((1 - 2 * rng.integers(0, 2, (size, len(shares)))) @ shares) >= at_least))
        for size in _chunks(flips)
    )
    return (extreme + 1) / (flips + 1)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Adjusted p-values, [n] in the order given, 0..1 (Holm 1979); up to alpha means rejected at alpha."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError("Holm's correction needs p-values between 0 and 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def standard_error(scores: Scores) -> float:
    """Standard error of the overall score, clustered by prompt and stratified by task; NaN as in `Estimate`.

    A task's score is a ratio of sums over prompts, so its variance is that of the prompts' residuals
    (Cochran 1977, 6.3); with equally many images a prompt it is the variance of the prompts' means over P.
    """
    strata = _strata(scores).values()
    return math.sqrt(math.fsum(_variance(stratum) for stratum in strata)) / len(strata)


def prompt_deviation(scores: Scores) -> Estimate:
    """Sample standard deviation of the prompts' mean scores, without an interval; NaN for a single prompt."""
    means = np.concatenate([s.sums / s.images for s in _strata(scores).values()])
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else math.nan
    return Estimate(deviation, math.nan, math.nan, len(means), len(scores.value))


def smallest_detectable_difference(
    method: Scores, base: Scores, *, paired: bool = True, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The true overall difference that a two-sided test at `alpha` finds with probability `power`.

    (z(1 − alpha/2) + z(power)) × standard error (Cohen 1988), that of the samples' differences where the runs
    are paired, else of two independent runs. For a table of one run, unpaired, pass it twice.
    """
    if not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"alpha and power must lie between 0 and 1, got {alpha} and {power}")
    if paired:
        error = standard_error(difference(method, base))
    else:
        error = math.hypot(standard_error(method), standard_error(base))
    return float(ndtri(1 - alpha / 2) + ndtri(power)) * error


def _by_item(scores: Scores) -> dict[tuple[str, str | int, int], float]:
    """Values by (task, prompt, seed), sorted: sums and draws then do not depend on the samples' order."""
    items = zip(scores.task, scores.prompt, scores.seed, strict=True)
    return dict(sorted(zip(items, scores.value, strict=True)))


def _strata(scores: Scores) -> dict[str, _Stratum]:
    strata = {}
    for task, in_task in groupby(_by_item(scores).items(), key=lambda sample: sample[0][0]):
        prompts = [[value for _, value in g] for _, g in groupby(in_task, key=lambda sample: sample[0][1])]
        images = np.array([len(values) for values in prompts], dtype=np.float64)
        strata[task] = _Stratum(np.array([math.fsum(values) for values in prompts]), images)
    return strata


def _overall(strata: dict[str, _Stratum]) -> float:
    return math.fsum(stratum.mean for stratum in strata.values()) / len(strata)


def _resampled_means(stratum: _Stratum, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The task's score in each resample, [resamples]; how often a prompt was drawn is multinomial."""
    total = len(stratum.sums)
    if total == 1:
        return np.full(resamples, np.nan)
    means = []
    for size in _chunks(resamples):
        drawn = rng.multinomial(total, np.full(total, 1 / total), size=size)
        means.append((drawn @ stratum.sums) / (drawn @ stratum.images))
    return np.concatenate(means)


def _estimate(
    mean: float, resampled: NDArray[np.float64], confidence: float, strata: Collection[_Stratum]
) -> Estimate:
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    prompts = sum(len(stratum.sums) for stratum in strata)
    return Estimate(mean, float(low), float(high), prompts, int(sum(s.images.sum() for s in strata)))


def _variance(stratum: _Stratum) -> float:
    total = len(stratum.sums)
    if total == 1:
        return math.nan
    residuals = stratum.sums - stratum.mean * stratum.images
    return float(total / (total - 1) * np.sum(residuals**2) / stratum.images.sum() ** 2)


def _chunks(total: int) -> Iterator[int]:
    for start in range(0, total, CHUNK):
        yield min(CHUNK, total - start)
