"""The paper's objective, one function an equation: the KL divergence of modulated noise, exact and approximated.

`f` is a noise hypernetwork as a plain function, x0 [B, *shape] -> delta [B, *shape], whose samples do not depend on one
another. J is its Jacobian, d its dimension.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.autograd.forward_ad as forward

if TYPE_CHECKING:
    from collections.abc import Callable

    Noise = Callable[[torch.Tensor], torch.Tensor]

REDUCTIONS = ("sum", "mean")
"""Over the latent: the paper's sum, and the released code's mean, which is smaller by the factor d."""

CHUNK = 64
"""Rows of a Jacobian that are computed together."""


def regularizer(delta: torch.Tensor, reduction: str = "sum") -> torch.Tensor:
    """Equation 10: ½‖f‖² of each sample, [B], summed over the latent or its mean.

    Raises:
        ValueError: if the reduction is neither.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"the reduction must be one of {', '.join(REDUCTIONS)}, not {reduction!r}")
    squares = delta.flatten(1).square()
    return 0.5 * (squares.sum(1) if reduction == "sum" else squares.mean(1))


def noise_loss(
    delta: torch.Tensor, rewards: torch.Tensor, temperature: float = 1.0, reduction: str = "sum"
) -> torch.Tensor:
    """Equation 65, and equation 11 at temperature 1: the mean of ½‖f‖² - r / temperature, a scalar.

    Raises:
        ValueError: if the temperature is not above 0.
    """
    if temperature <= 0:
        raise ValueError("the temperature must be above 0")
    return (regularizer(delta, reduction) - rewards / temperature).mean()


@dataclass(frozen=True)
class Divergence:
    """Equation 8's three terms for each sample, float64 [B]."""

    half_square: torch.Tensor
    trace: torch.Tensor
    log_det: torch.Tensor

    @property
    def kl(self) -> torch.Tensor:
        """Equation 8's integrand, whose mean over x0 is the KL divergence of modulated noise from N(0, I)."""
        return self.half_square + self.l2_error

    @property
    def l2_error(self) -> torch.Tensor:
        """E(J) = Tr J - log|det(I + J)|: what equation 10 leaves out."""
        return self.trace - self.log_det


def jacobian(f: Noise, x0: torch.Tensor) -> torch.Tensor:
    """J of each sample, [B, d, d]: J[b, i, j] = d f_i / d x_j at x0[b].

    Not by torch.func, inside of whose transforms peft cannot switch an adapter.
    """
    x = x0.detach().requires_grad_()
    delta, dimension = f(x), x0[0].numel()
    units = torch.eye(dimension, dtype=delta.dtype, device=delta.device)
    rows = []
    for chunk in units.split(CHUNK):
        cotangents = chunk.view(-1, 1, *x0.shape[1:]).expand(-1, *x0.shape)
        (pulled,) = torch.autograd.grad(delta, x, cotangents, retain_graph=True, is_grads_batched=True)
        rows.append(pulled.flatten(2))
    return torch.cat(rows).transpose(0, 1)


def exact_kl(delta: torch.Tensor, jacobian: torch.Tensor) -> Divergence:
    """Equation 8 from delta [B, *shape] and J [B, d, d]; the log-determinant of a singular I + J is -inf."""
    exact = jacobian.double()
    identity = torch.eye(exact.shape[1], dtype=torch.float64, device=exact.device)
    return Divergence(
        regularizer(delta.double()),
        exact.diagonal(dim1=1, dim2=2).sum(1),
        torch.linalg.slogdet(identity + exact).logabsdet,
    )


def theorem1_bound(lipschitz: float, dimension: int) -> float:
    """Equation 9: |E(J)| is at most d (-log(1 - L) - L); no bound, infinity, where L is 1 or more."""
    return dimension * (-math.log1p(-lipschitz) - lipschitz) if lipschitz < 1 else math.inf


def _rademacher(x0: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    signs = torch.randint(0, 2, x0.shape, generator=generator)
    return (2 * signs - 1).to(x0)


def _inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner product of each sample, [B]."""
    return (a.flatten(1) * b.flatten(1)).sum(1)


def _scaled(x: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Each sample times its factor."""
    return x * factors.view(-1, *([1] * (x.ndim - 1)))


class Linearized:
    """Products with J by forward mode, and with its transpose by backward mode, at x0.

    Not by two backward passes: the second derivative of a depthwise convolution goes through its channels one by one.
    Neither by torch.func, as in `jacobian`. Fused attention has no forward mode.
    """

    def __init__(self, f: Noise, x0: torch.Tensor) -> None:
        self._f, self.x0 = f, x0.detach().requires_grad_()
        self.delta = f(self.x0)

    def transposed(self, v: torch.Tensor) -> torch.Tensor:
        """Jᵀv of each sample."""
        (product,) = torch.autograd.grad(self.delta, self.x0, v, retain_graph=True)
        return product

    def __call__(self, v: torch.Tensor) -> torch.Tensor:
        """Jv of each sample."""
        with torch.no_grad(), forward.dual_level(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")  # torch's own use
            product = forward.unpack_dual(self._f(forward.make_dual(self.x0.detach(), v))).tangent
        return torch.zeros_like(self.delta) if product is None else product


def hutchinson_trace(linearized: Linearized, probes: int, generator: torch.Generator) -> torch.Tensor:
    """Tr J of each sample, [B], unbiased: the mean of vᵀJv over random signs v (Hutchinson 1989)."""
    signs = [_rademacher(linearized.x0, generator) for _ in range(probes)]
    return torch.stack([_inner(v, linearized.transposed(v)).double() for v in signs]).mean(0)


def _lanczos(linearized: Linearized, start: torch.Tensor, steps: int) -> torch.Tensor:
    """The tridiagonal matrices, float64 [B, steps, steps], of (I + J)ᵀ(I + J) from unit vectors `start`."""
    basis = [start]
    matrix = torch.zeros(len(start), steps, steps, dtype=torch.float64, device=start.device)
    for step in range(steps):
        image = basis[-1] + linearized(basis[-1])
        following = image + linearized.transposed(image)
        matrix[:, step, step] = _inner(basis[-1], following).double()
        for _ in range(2):  # twice is enough, once is not
            for vector in basis:
                following = following - _scaled(vector, _inner(vector, following))
        length = following.flatten(1).norm(dim=1)
        if step + 1 < steps:
            # where the space is exhausted, nothing is coupled to the rest, which then has no weight
            alive = length > 1e-6 * matrix[:, step, step]
            matrix[:, step, step + 1] = matrix[:, step + 1, step] = length.double() * alive
            basis.append(_scaled(following, alive / length.clamp(min=1e-30)))
    return matrix


def stochastic_log_det(
    linearized: Linearized, probes: int, steps: int, generator: torch.Generator
) -> torch.Tensor:
    """log|det(I + J)| of each sample, [B], as ½ Tr log((I + J)ᵀ(I + J)) by stochastic Lanczos quadrature.

    Ubaru, Chen and Saad 2017. It needs no bound on J; its error falls with the number of probes and steps.
    """
    dimension = linearized.x0[0].numel()
    found = []
    for _ in range(probes):
        start = _rademacher(linearized.x0, generator) / math.sqrt(dimension)
        values, vectors = torch.linalg.eigh(_lanczos(linearized, start, min(steps, dimension)))
        weights = vectors[:, 0].square()
        logs = torch.where(weights > 1e-12, values.clamp(min=0).log(), 0.0)
        found.append(0.5 * dimension * (weights * logs).sum(1))
    return torch.stack(found).mean(0)


def estimated_kl(linearized: Linearized, probes: int, steps: int, generator: torch.Generator) -> Divergence:
    """Equation 8 where J is too large to be written down.

    Trace and log-determinant see the same probes: what is linear in J then cancels in their difference.
    """
    return Divergence(
        regularizer(linearized.delta.detach().double()),
        hutchinson_trace(linearized, probes, generator.clone_state()),
        stochastic_log_det(linearized, probes, steps, generator),
    )


def spectral_norm(linearized: Linearized, iterations: int, generator: torch.Generator) -> torch.Tensor:
    """The largest singular value of J at each sample, [B], by power iteration on JᵀJ.

    Its maximum over samples is a lower bound of f's Lipschitz constant L, never more.
    """
    v = torch.randn(linearized.x0.shape, generator=generator).to(linearized.x0)
    for _ in range(iterations):
        v = _scaled(v, 1 / v.flatten(1).norm(dim=1).clamp(min=1e-30))
        v = linearized.transposed(linearized(v))
    return v.flatten(1).norm(dim=1).sqrt()
