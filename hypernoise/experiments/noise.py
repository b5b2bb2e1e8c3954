"""Initial noise and every other random tensor of a sample, fixed by (seed, prompt index) alone.

The values are drawn one sample at a time on the CPU, so they depend on neither batch size nor device nor worker
nor method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_X0, _CANDIDATE, _STEP, _TRAINING = 0, 1, 2, 3


def _normal(shape: Sequence[int], *key: int) -> torch.Tensor:
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
    return torch.randn(tuple(shape), generator=generator)


def initial_noise(shape: Sequence[int], seed: int, prompt_index: int) -> torch.Tensor:
    """x0 ~ N(0, I) of one sample, float32 `shape`."""
    return _normal(shape, seed, prompt_index, _X0)


def candidate_noise(shape: Sequence[int], seed: int, prompt_index: int, candidate: int) -> torch.Tensor:
    """Noise of the n-th candidate of one sample; candidate 0 is x0 itself."""
    if candidate == 0:
        return initial_noise(shape, seed, prompt_index)
    return _normal(shape, seed, prompt_index, _CANDIDATE, candidate)


def step_noise(shape: Sequence[int], seed: int, prompt_index: int, step: int) -> torch.Tensor:
    """Noise that a multi-step sampler adds to one sample before its n-th step."""
    return _normal(shape, seed, prompt_index, _STEP, step)


def training_noise(shape: Sequence[int], seed: int, sample: int) -> torch.Tensor:
    """Initial noise of the n-th sample of a training, never one that an experiment starts from."""
    return _normal(shape, seed, sample, _TRAINING)
