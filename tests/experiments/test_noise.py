"""Noise that (seed, prompt index) alone fix."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest
import torch
from scipy import stats

from hypernoise.experiments.noise import candidate_noise, initial_noise, step_noise
from hypernoise.methods import Sample

if TYPE_CHECKING:
    from hypernoise.experiments.runner import Workbench
    from hypernoise.methods import Batch

SHAPE = (8, 8, 8)


def test_initial_noise_stays_what_it_is() -> None:
    # Pinned, because stored runs and published numbers start from it: a change makes them another experiment.
    expected = {
        (0, 0): [0.25602213, -1.33954108, 1.26630211],
        (3, 41): [0.30094215, -0.43502629, 1.21350622],
    }
    for (seed, index), values in expected.items():
        noise = initial_noise(SHAPE, seed, index)
        assert noise.flatten()[:3].tolist() == pytest.approx(values, abs=1e-5)


def test_neither_global_state_nor_earlier_draws_matter() -> None:
    first = initial_noise(SHAPE, 1, 2)
    torch.manual_seed(5)
    torch.randn(7)
    candidate_noise(SHAPE, 1, 2, 3)
    assert torch.equal(initial_noise(SHAPE, 1, 2), first)


def test_drawing_noise_leaves_the_global_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    initial_noise(SHAPE, 1, 2)
    assert torch.equal(torch.randn(3), expected)


def test_candidate_0_is_the_initial_noise() -> None:
    assert torch.equal(candidate_noise(SHAPE, 4, 9, 0), initial_noise(SHAPE, 4, 9))


def test_no_two_draws_are_alike() -> None:
    numbers = range(6)
    draws = [initial_noise(SHAPE, seed, index) for seed, index in product(numbers, numbers)]
    draws += [
        draw(SHAPE, seed, index, n)
        for draw in (candidate_noise, step_noise)
        for seed, index, n in product(numbers, numbers, range(1, 6))
    ]
    assert len({draw.numpy().tobytes() for draw in draws}) == len(draws) == 36 + 2 * 180


def test_it_is_standard_normal_and_independent() -> None:
    noise = torch.stack([initial_noise(SHAPE, seed, index) for seed in range(4) for index in range(50)])
    assert noise.dtype == torch.float32
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 0.01
    between = torch.corrcoef(noise.flatten(1)) - torch.eye(len(noise))
    assert between.abs().max() < 6 / SHAPE[0] ** 1.5


def batch_of(workbench: Workbench, samples: list[Sample]) -> Batch:
    prompts = {prompt.index: prompt for prompt in workbench.benchmark.prompts("shapes")}
    return workbench.batch(samples, prompts, steps=2)


def test_a_batch_s_noise_is_that_of_its_samples(workbench: Workbench) -> None:
    samples = [Sample(7, 0), Sample(2, 3), Sample(7, 1)]
    batch = batch_of(workbench, samples)
    for candidate in (0, 4):
        noise = batch.noise(candidate)
        for row, sample in zip(noise, samples, strict=True):
            assert torch.equal(row, candidate_noise(SHAPE, sample.seed, sample.prompt_index, candidate))
            assert torch.equal(row, batch_of(workbench, [sample]).noise(candidate)[0])


def test_the_sampler_s_own_noise_is_the_same_at_every_call(workbench: Workbench) -> None:
    batch = batch_of(workbench, [Sample(7, 0), Sample(2, 3)])
    with torch.no_grad():
        first, second = batch.generate(batch.noise()), batch.generate(batch.noise())
        one_step = replace(batch, steps=1).generate(batch.noise())
    assert torch.equal(first, second)
    assert not torch.equal(first, one_step)
