"""Statistics against closed forms, scipy's own implementations and seeded simulations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hypernoise.experiments import statistics
from hypernoise.experiments.statistics import Scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

Z95, Z80 = 1.959964, 0.841621


def scores_of(tasks: Mapping[str, ArrayLike]) -> Scores:
    """From a matrix [prompts, images] for each task."""
    rows = [
        (task, f"{task}-{i}", j, float(value))
        for task, matrix in tasks.items()
        for i, images in enumerate(np.asarray(matrix, dtype=float))
        for j, value in enumerate(images)
    ]
    return Scores(*zip(*rows, strict=True))


def random_scores(rng: np.random.Generator, prompts: int = 30, images: int = 4, tasks: int = 2) -> Scores:
    """Prompts of different difficulty, whose images are alike."""
    return scores_of(
        {
            f"t{k}": rng.normal(size=(prompts, 1)) + 0.2 * rng.normal(size=(prompts, images))
            for k in range(tasks)
        }
    )


def shuffled(scores: Scores, rng: np.random.Generator) -> Scores:
    order = rng.permutation(len(scores.value))
    columns = (scores.task, scores.prompt, scores.seed, scores.value)
    return Scores(*([column[i] for i in order] for column in columns))


def test_means_weigh_images_within_and_tasks_across() -> None:
    scores = Scores(["a"] * 3 + ["b"], [1, 1, 2, 3], [0, 1, 0, 0], [1, 1, 0, 0.5])
    found = statistics.bootstrap_interval(scores, resamples=10)
    assert found.tasks["a"].mean == pytest.approx(2 / 3)  # of images; of prompts it would be 1/2
    assert found.overall.mean == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert (found.tasks["a"].prompts, found.tasks["a"].images) == (2, 3)
    assert (found.overall.prompts, found.overall.images) == (3, 4)


def test_a_single_prompt_shows_no_variance() -> None:
    scores = Scores(["a", "a", "b", "b"], [1, 2, 3, 3], [0, 0, 0, 1], [0, 1, 0, 1])
    found = statistics.bootstrap_interval(scores, resamples=50)
    assert np.isfinite([found.tasks["a"].low, found.tasks["a"].high]).all()
    assert np.isnan([found.tasks["b"].low, found.overall.high, statistics.standard_error(scores)]).all()


def test_standard_error_closed_form() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((40, 4)), rng.random((15, 2))
    expected = np.hypot(stats.sem(a.mean(axis=1)), stats.sem(b.mean(axis=1))) / 2
    assert statistics.standard_error(scores_of({"a": a, "b": b})) == pytest.approx(expected)


def test_standard_error_with_unequal_images() -> None:
    # The delete-one-prompt jackknife is another route to the variance of a ratio.
    rng = np.random.default_rng(1)
    images = rng.integers(1, 5, size=200)
    sums = rng.normal(2, 1, size=200) * images
    left_out = (sums.sum() - sums) / (images.sum() - images)
    jackknife = np.sqrt(199 / 200 * np.sum((left_out - left_out.mean()) ** 2))
    rows = [("a", i, j, sums[i] / images[i]) for i in range(200) for j in range(images[i])]
    scores = Scores(*zip(*rows, strict=True))
    assert statistics.standard_error(scores) == pytest.approx(jackknife, rel=0.02)
    found = statistics.bootstrap_interval(scores).overall
    assert found.high - found.low == pytest.approx(2 * Z95 * jackknife, rel=0.1)


def test_large_samples_give_the_normal_interval() -> None:
    scores = random_scores(np.random.default_rng(2), prompts=600, tasks=1)
    found = statistics.bootstrap_interval(scores).overall
    half = Z95 * statistics.standard_error(scores)
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), abs=0.05 * half)


def test_interval_agrees_with_scipy() -> None:
    matrix = np.random.default_rng(3).exponential(size=(40, 3))
    found = statistics.bootstrap_interval(scores_of({"a": matrix})).overall
    theirs = stats.bootstrap(
        (matrix.mean(axis=1),), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(0)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


def test_intervals_cover_the_truth() -> None:
    # With images torn from their prompts the intervals would be half as wide and cover about 0.7.
    rng = np.random.default_rng(4)
    trials = [
        statistics.bootstrap_interval(random_scores(rng), resamples=300, seed=trial).overall
        for trial in range(300)
    ]
    assert 0.90 < np.mean([found.low < 0 < found.high for found in trials]) < 0.98


def test_images_of_a_prompt_stay_together() -> None:
    matrix = np.random.default_rng(5).random((20, 1))
    once, often = (
        statistics.bootstrap_interval(scores_of({"a": m})).overall for m in (matrix, matrix.repeat(4, 1))
    )
    assert (once.low, once.high) == pytest.approx((often.low, often.high))


def test_resamples_stay_within_tasks() -> None:
    # Without strata the share of each task would vary, and with it the overall score.
    found = statistics.bootstrap_interval(scores_of({"a": np.zeros((90, 2)), "b": np.ones((10, 2))})).overall
    assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)


def test_order_of_samples_is_irrelevant() -> None:
    rng = np.random.default_rng(6)
    scores, base = random_scores(rng), random_scores(rng)
    other = shuffled(scores, rng)
    assert statistics.bootstrap_interval(scores) == statistics.bootstrap_interval(other)
    assert statistics.paired_difference(scores, base) == statistics.paired_difference(other, base)
    assert statistics.sign_flip_p(scores, base) == statistics.sign_flip_p(other, base)


def test_seed_and_confidence_matter() -> None:
    scores = random_scores(np.random.default_rng(7))
    wide, other, narrow = (
        statistics.bootstrap_interval(scores, **options).overall
        for options in ({}, {"seed": 1}, {"confidence": 0.5})
    )
    assert wide != other
    assert wide.low < narrow.low < narrow.high < wide.high


GOOD = Scores(["a", "a"], [1, 2], [0, 0], [0.0, 1.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": [1, None]}, "cluster key"),
        ({"prompt": ["x", ""]}, "cluster key"),
        ({"prompt": [1, float("nan")]}, "cluster key"),
        ({"prompt": [1]}, "length"),
        ({"task": [], "prompt": [], "seed": [], "value": []}, "empty"),
        ({"value": [0, float("nan")]}, "finite"),
        ({"prompt": [1, 1]}, "twice"),
        ({"task": ["a", "b"], "prompt": [1, 1], "seed": [0, 1]}, "two tasks"),
    ],
)
def test_scores_refuse(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(GOOD, **change)


@pytest.mark.parametrize(
    "change", [{"prompt": [1, 3]}, {"seed": [0, 1]}, {"task": ["a", "b"]}, {"task": ["b", "b"]}]
)
def test_pairs_must_agree(change: dict[str, Any]) -> None:
    other = replace(GOOD, **change)
    for compare in (
        statistics.paired_difference,
        statistics.sign_flip_p,
        statistics.smallest_detectable_difference,
    ):
        with pytest.raises(ValueError, match="same"):
            compare(GOOD, other)


def test_pairing_removes_what_both_share() -> None:
    rng = np.random.default_rng(8)
    base = rng.normal(size=(50, 4))
    gain = 0.1 + 0.01 * rng.normal(size=(50, 1))
    found = statistics.paired_difference(scores_of({"a": base + gain}), scores_of({"a": base})).overall
    half = Z95 * stats.sem(gain[:, 0])
    assert found.mean == pytest.approx(gain.mean())
    assert (found.low, found.high) == pytest.approx((gain.mean() - half, gain.mean() + half), abs=0.1 * half)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1, 1, 1], 2 / 8),
        ([3, 1, -1], 6 / 8),
        ([1, 1, -1], 1),
        ([5, 0, 0], 1),
        ([0, 0, 0], 1),
        ([0] * 30 + [1, 2, 3], 2 / 8),
    ],
)
def test_sign_flip_counts_every_flip(differences: list[float], expected: float) -> None:
    method = scores_of({"a": np.repeat(np.array(differences)[:, None], 4, axis=1)})
    base = replace(method, value=[0.0] * len(method.value))
    assert statistics.sign_flip_p(method, base) == expected
    assert statistics.sign_flip_p(base, method) == expected


def test_sign_flip_agrees_with_scipy_exactly_and_drawn() -> None:
    rng = np.random.default_rng(9)
    a, b = rng.normal(0.4, 1, size=(12, 3)), rng.normal(size=(12, 3))
    theirs = stats.permutation_test(
        (a.mean(axis=1), b.mean(axis=1)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**12,
    ).pvalue
    method, base = scores_of({"a": a}), scores_of({"a": b})
    assert statistics.sign_flip_p(method, base) == pytest.approx(theirs)
    assert statistics.sign_flip_p(method, base, flips=4000) == pytest.approx(theirs, abs=0.03)
    assert 0.02 < theirs < 0.98


def test_sign_flip_weighs_tasks_equally() -> None:
    # Two prompts of "b" gain what eight of "a" lose: by tasks the difference is 0, by prompts it is not.
    method = scores_of({"a": np.full((8, 2), -1.0), "b": np.full((2, 2), 1.0)})
    assert statistics.sign_flip_p(method, replace(method, value=[0.0] * 20)) == 1


def test_sign_flip_keeps_its_level() -> None:
    # Images flipped one by one would be called significant in a third of these trials.
    rng = np.random.default_rng(10)
    p = [statistics.sign_flip_p(random_scores(rng), random_scores(rng), flips=199) for _ in range(300)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09


def test_sign_flip_of_many_prompts() -> None:
    base = random_scores(np.random.default_rng(11), prompts=1200, images=1, tasks=1)
    method = replace(base, value=[value + 1 for value in base.value])
    assert statistics.sign_flip_p(method, base, flips=1500) == 1 / 1501


def test_holm_known_values() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert statistics.holm([]).shape == (0,)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_as_the_step_down_procedure(p: list[float], alpha: float) -> None:
    rejected: set[int] = set()
    for step, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] * (len(p) - step) > alpha:
            break
        rejected.add(i)
    assert {i for i, q in enumerate(statistics.holm(p)) if q <= alpha} == rejected


@pytest.mark.parametrize("p", [[0.1, 1.1], [-0.1], [float("nan")]])
def test_holm_refuses(p: list[float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.holm(p)


def test_smallest_detectable_difference_closed_form() -> None:
    rng = np.random.default_rng(12)
    base = rng.normal(size=(60, 1))
    method = base + 0.3 * rng.normal(size=(60, 1))
    ours, theirs = scores_of({"a": method}), scores_of({"a": base})
    paired = statistics.smallest_detectable_difference(ours, theirs)
    assert paired == pytest.approx((Z95 + Z80) * stats.sem(method - base)[0], rel=1e-5)
    unpaired = statistics.smallest_detectable_difference(ours, theirs, paired=False)
    assert unpaired == pytest.approx((Z95 + Z80) * np.hypot(stats.sem(method), stats.sem(base))[0], rel=1e-5)


def test_the_smallest_detectable_difference_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(13)
    noise = scores_of({"a": rng.normal(size=(2000, 1))})
    effect = statistics.smallest_detectable_difference(noise, replace(noise, value=[0.0] * 2000))
    p = stats.ttest_1samp(rng.normal(effect, 1, size=(500, 2000)), 0, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("options", [{"alpha": 0}, {"power": 1}])
def test_detectable_difference_refuses(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.smallest_detectable_difference(GOOD, GOOD, **options)  # type: ignore[arg-type]
