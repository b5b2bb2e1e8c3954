"""The objective's equations against closed forms: linear f_φ, Gaussians, and exact Jacobians of small networks."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.hypernetwork import NoiseHypernetwork
from hypernoise.noise.objective import (
    Divergence,
    Linearized,
    estimated_kl,
    exact_kl,
    hutchinson_trace,
    jacobian,
    noise_loss,
    regularizer,
    spectral_norm,
    stochastic_log_det,
    theorem1_bound,
)

if TYPE_CHECKING:
    from hypernoise.generators.shapes import ShapesGenerator

SHAPE = (2, 3, 2)
D = math.prod(SHAPE)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix(seed: int, norm: float, dimension: int = D) -> torch.Tensor:
    """A random matrix of that spectral norm, float64."""
    drawn = torch.randn(dimension, dimension, generator=seeded(seed), dtype=torch.float64)
    return drawn * norm / torch.linalg.matrix_norm(drawn, 2)


class Linear:
    """f(x) = A x + b."""

    def __init__(self, a: torch.Tensor, b: torch.Tensor | float = 0.0) -> None:
        self.a, self.b = a, b

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) @ self.a.T + self.b).view(x.shape)


def network(seed: int, gain: float) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Flatten(), nn.Linear(D, 20), nn.Tanh(), nn.Linear(20, D), nn.Unflatten(1, SHAPE)]
        whole = nn.Sequential(*layers).double().requires_grad_(requires_grad=False)
    whole[3].weight *= gain
    return whole


def noise(size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, *SHAPE, generator=seeded(seed), dtype=torch.float64)


def test_the_mean_is_the_sum_without_the_factor_d() -> None:
    delta = noise(4)
    expected = 0.5 * delta.square().sum((1, 2, 3))
    torch.testing.assert_close(regularizer(delta), expected)
    torch.testing.assert_close(regularizer(delta, "mean") * D, expected)
    with pytest.raises(ValueError, match="sum, mean"):
        regularizer(delta, "max")


def test_temperature_divides_the_reward() -> None:
    delta, rewards = noise(4), torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    half = float(regularizer(delta).mean())
    assert float(noise_loss(delta, rewards)) == pytest.approx(half - 0.625)
    assert float(noise_loss(delta, rewards, temperature=0.25)) == pytest.approx(half - 2.5)
    for wrong in (0.0, -1.0):
        with pytest.raises(ValueError, match="above 0"):
            noise_loss(delta, rewards, wrong)


def test_the_loss_of_a_linear_reward_is_smallest_at_its_gradient() -> None:
    """With r = cᵀx the minimum of ½‖f‖² - r / α is f = c / α."""
    c = noise(3, seed=5)
    delta = torch.zeros_like(c, requires_grad=True)
    loss = noise_loss(delta, (delta * c).flatten(1).sum(1), temperature=2.0)
    (gradient,) = torch.autograd.grad(loss, delta)
    torch.testing.assert_close(gradient, -c / 2 / len(c))


@given(st.integers(0, 10_000), st.floats(0.01, 0.9))
@settings(max_examples=25, deadline=None)
def test_a_linear_functions_terms_are_its_matrixs(seed: int, norm: float) -> None:
    a = matrix(seed, norm)
    f, x = Linear(a, 0.3), noise(2, seed)
    found = exact_kl(f(x), jacobian(f, x))
    eigenvalues = torch.linalg.eigvals(a)
    torch.testing.assert_close(jacobian(f, x), a.expand(2, D, D))
    assert found.trace.tolist() == pytest.approx([float(eigenvalues.sum().real)] * 2, abs=1e-9)
    assert found.log_det.tolist() == pytest.approx([float((1 + eigenvalues).abs().log().sum())] * 2, abs=1e-9)
    assert float(found.l2_error.abs().max()) <= theorem1_bound(norm, D) + 1e-9


def test_the_mean_is_the_divergence_of_two_gaussians() -> None:
    a, b = matrix(2, 0.9), torch.linspace(-1, 1, D, dtype=torch.float64)
    f, x = Linear(a, b), noise(200_000)
    whole = torch.eye(D, dtype=torch.float64) + a
    modulated = torch.distributions.MultivariateNormal(b, whole @ whole.T)
    prior = torch.distributions.MultivariateNormal(torch.zeros(D).double(), torch.eye(D).double())
    expected = float(torch.distributions.kl_divergence(modulated, prior))
    terms = exact_kl(f(x), jacobian(f, x[:1]).expand(len(x), D, D))
    error = float(terms.kl.std()) / math.sqrt(len(x))
    assert error < 0.02
    assert abs(float(terms.kl.mean()) - expected) < 5 * error
    assert abs(float(terms.l2_error.mean())) > 5 * error


def test_noise_that_collapses_diverges() -> None:
    f = Linear(-torch.eye(D, dtype=torch.float64))
    assert exact_kl(f(noise(1)), jacobian(f, noise(1))).kl.item() == math.inf


def test_the_terms_make_the_sum() -> None:
    terms = Divergence(*(torch.tensor([value]) for value in (4.0, 3.0, 1.0)))
    assert terms.l2_error.item() == 2.0
    assert terms.kl.item() == 6.0


def test_theorem_1_has_a_bound_below_1_alone() -> None:
    assert theorem1_bound(0.0, 7) == 0.0
    assert theorem1_bound(0.5, 10) == pytest.approx(10 * (math.log(2) - 0.5))
    assert theorem1_bound(0.01, 1) == pytest.approx(0.01**2 / 2, rel=0.01)
    assert theorem1_bound(1.0, 7) == theorem1_bound(2.0, 7) == math.inf


def test_the_jacobian_is_the_difference_quotient_of_each_sample_alone() -> None:
    f, x, h = network(0, 1.0), noise(3), 1e-6
    exact = jacobian(f, x)
    for column in (0, 5, D - 1):
        step = torch.zeros(D, dtype=torch.float64)
        step[column] = h
        quotient = (f(x + step.view(SHAPE)) - f(x - step.view(SHAPE))).flatten(1) / (2 * h)
        torch.testing.assert_close(exact[:, :, column], quotient, atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(jacobian(f, x[1:2])[0], exact[1])


def test_products_are_the_jacobians() -> None:
    f, x, v = network(1, 2.0), noise(3), noise(3, seed=9)
    linearized, exact = Linearized(f, x), jacobian(f, x)
    expected = torch.einsum("bij,bj->bi", exact, v.flatten(1))
    torch.testing.assert_close(linearized(v).flatten(1), expected)
    expected = torch.einsum("bij,bi->bj", exact, v.flatten(1))
    torch.testing.assert_close(linearized.transposed(v).flatten(1), expected)


@pytest.mark.parametrize("gain", [0.5, 6.0])
def test_estimates_meet_the_exact_values(gain: float) -> None:
    f, x = network(2, gain), noise(3, seed=4)
    exact, linearized = exact_kl(f(x), jacobian(f, x)), Linearized(f, x)
    largest = torch.linalg.matrix_norm(jacobian(f, x), 2)
    assert bool((largest > 1).all()) == (gain > 1)
    torch.testing.assert_close(spectral_norm(linearized, 300, seeded(0)), largest, rtol=1e-3, atol=0)
    found = [estimated_kl(linearized, 25, D, seeded(seed)) for seed in range(16)]
    torch.testing.assert_close(found[0].half_square, exact.half_square)
    for name in ("trace", "log_det", "l2_error"):
        estimates = torch.stack([getattr(each, name) for each in found])
        expected, error = getattr(exact, name), estimates.std(0) / 4
        assert (error < 0.15 * gain).all()
        assert ((estimates.mean(0) - expected).abs() < 5 * error).all()


def test_first_order_errors_of_the_estimates_cancel() -> None:
    """For J = εA the trace is off by O(ε) and the log-determinant by the same, so that l2_error is off by O(ε²)."""
    a, small = matrix(3, 1.0), 1e-3
    f, x = Linear(small * a), noise(2)
    exact, found = exact_kl(f(x), jacobian(f, x)), estimated_kl(Linearized(f, x), 1, D, seeded(0))
    assert ((found.trace - exact.trace).abs() > small / 10).all()
    assert ((found.l2_error - exact.l2_error).abs() < D * small**2).all()


def test_estimates_of_collapsing_noise_diverge_too() -> None:
    linearized = Linearized(Linear(-torch.eye(D, dtype=torch.float64)), noise(1))
    assert estimated_kl(linearized, 1, 5, seeded(0)).kl.item() == math.inf


def test_a_constant_has_no_slope() -> None:
    linearized = Linearized(lambda x: 0 * x + 1, noise(2))
    found = estimated_kl(linearized, 1, 5, seeded(0))
    assert found.kl.tolist() == pytest.approx([D / 2] * 2)
    assert spectral_norm(linearized, 3, seeded(0)).tolist() == [0.0, 0.0]


def test_a_real_denoisers_jacobian_is_that_of_its_products(generator: ShapesGenerator) -> None:
    """More rows than one chunk, attention, depthwise convolutions, and an adapter that is switched inside f."""
    network = NoiseHypernetwork.new(
        copy.deepcopy(generator), LoraSettings(4, 8.0, dense_depthwise=False), seed=0
    )
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(7)
        for parameter in network.adapter.parameters.values():
            parameter.add_(0.02 * torch.randn_like(parameter))
    condition = generator.encode(["a photo of a ring"])
    x, v = torch.randn(2, 1, 8, 8, 8, generator=seeded(2))

    def f(noise: torch.Tensor) -> torch.Tensor:
        return network(noise, condition)

    with sdpa_kernel(SDPBackend.MATH):
        whole, linearized = jacobian(f, x)[0], Linearized(f, x)
        quotient = (f(x + 1e-4 * v) - f(x - 1e-4 * v)) / 2e-4  # short of the next kinks of its ReLUs
        forth, back = linearized(v), linearized.transposed(v)
    torch.testing.assert_close(forth.flatten(), whole @ v.flatten(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(back.flatten(), whole.T @ v.flatten(), atol=1e-4, rtol=1e-4)
    assert quotient.norm() > 0.1
    assert (forth - quotient).norm() < 0.02 * quotient.norm()


def test_quadrature_is_exact_for_a_multiple_of_the_identity() -> None:
    """The Lanczos space is exhausted after one step, which must not disturb the result."""
    linearized = Linearized(Linear(1.5 * torch.eye(D, dtype=torch.float64)), noise(2))
    found = stochastic_log_det(linearized, 1, 5, seeded(0))
    torch.testing.assert_close(found, torch.full((2,), D * math.log(2.5), dtype=torch.float64))
    torch.testing.assert_close(hutchinson_trace(linearized, 1, seeded(0)), torch.full_like(found, 1.5 * D))
