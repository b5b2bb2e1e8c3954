"""`hn diagnose`: what the paper's approximation of the KL divergence leaves out, measured on a trained adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel

from hypernoise.experiments.environment import pick_device
from hypernoise.experiments.noise import initial_noise
from hypernoise.generators.protocol import refuse_steering
from hypernoise.noise.adapter_files import adapter_folder, refuse_other_training
from hypernoise.noise.hypernetwork import NoiseHypernetwork
from hypernoise.noise.objective import (
    Divergence,
    Linearized,
    estimated_kl,
    exact_kl,
    jacobian,
    spectral_norm,
    theorem1_bound,
)
from hypernoise.prompts.sets import load_all
from hypernoise.registry import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.generators.protocol import Generator

LARGEST_EXACT = 1024
"""Dimension of a latent up to which the whole Jacobian is computed."""

PROBES, LANCZOS_STEPS, POWER_ITERATIONS = 8, 24, 30


@dataclass(frozen=True)
class Diagnosis:
    """Equation 8's terms for some samples, and the largest singular value of each one's Jacobian, [B]."""

    terms: Divergence
    norms: torch.Tensor
    dimension: int
    exact: bool

    @property
    def lipschitz(self) -> float:
        """The largest slope seen: f_φ's Lipschitz constant is at least this."""
        return float(self.norms.max())

    @property
    def premise_holds(self) -> bool:
        """Whether nothing seen contradicts Theorem 1's premise L < 1."""
        return self.lipschitz < 1


def _measure(
    f: NoiseHypernetwork, generator: Generator, prompt: str, index: int
) -> tuple[Divergence, torch.Tensor]:
    """Terms and largest singular value at one sample."""
    x0 = initial_noise(generator.latent_shape, 0, index).unsqueeze(0).to(generator.device)
    condition = generator.encode([prompt])
    random = torch.Generator().manual_seed(index)

    def of_noise(x: torch.Tensor) -> torch.Tensor:
        return f(x, condition.take([0] * len(x)))

    with sdpa_kernel(SDPBackend.MATH):  # fused attention has no forward mode
        if x0.numel() <= LARGEST_EXACT:
            whole = jacobian(of_noise, x0)
            return exact_kl(of_noise(x0), whole), torch.linalg.matrix_norm(whole, 2)
        linearized = Linearized(of_noise, x0)
        terms = estimated_kl(linearized, PROBES, LANCZOS_STEPS, random)
        return terms, spectral_norm(linearized, POWER_ITERATIONS, random)


def diagnose(f: NoiseHypernetwork, generator: Generator, prompts: list[str]) -> Diagnosis:
    """Measure one x0 for each prompt."""
    rows = [
        _measure(f, generator, prompt, index)
        for index, prompt in enumerate(track(prompts, description="diagnosing"))
    ]
    terms = [
        torch.cat([getattr(row, name).detach() for row, _ in rows])
        for name in ("half_square", "trace", "log_det")
    ]
    dimension = initial_noise(generator.latent_shape, 0, 0).numel()
    norms = torch.cat([norm.detach() for _, norm in rows])
    return Diagnosis(Divergence(*terms), norms, dimension, dimension <= LARGEST_EXACT)


def _table(found: Diagnosis) -> Table:
    how = "exact" if found.exact else f"estimated, {PROBES} probes of {LANCZOS_STEPS} steps"
    table = Table(title=f"{len(found.norms)} samples, d = {found.dimension}, {how}")
    for column in ("", "mean", "standard error"):
        table.add_column(column, justify="left" if not column else "right")
    rows = {
        "½‖f‖² (equation 10)": found.terms.half_square,
        "Tr J": found.terms.trace,
        "log|det(I + J)|": found.terms.log_det,
        "KL divergence (equation 8)": found.terms.kl,
        "what equation 10 leaves out": found.terms.l2_error,
        "largest singular value of J": found.norms.double(),
    }
    for name, values in rows.items():
        error = float(values.std()) / len(values) ** 0.5
        table.add_row(name, f"{float(values.mean()):.4f}", f"{error:.4f}")
    return table


def verdict(found: Diagnosis) -> str:
    """What the numbers say of Theorem 1."""
    seen = f"The Lipschitz constant L is at least {found.lipschitz:.3f}: "
    if not found.premise_holds:
        return seen + "Theorem 1's premise L < 1 does not hold, and equation 9 bounds nothing."
    bound = theorem1_bound(found.lipschitz, found.dimension)
    worst = float(found.terms.l2_error.abs().max())
    return (
        seen
        + f"Theorem 1's premise L < 1 is not contradicted; equation 9 would bound the error by {bound:.3f} "
        f"at that L, and the largest seen is {worst:.3f}."
    )


def run_diagnosis(adapter: str, model: str, samples: int, prompt_sets: Sequence[str], device: str) -> None:
    """Load an adapter, measure it on prompts (the model's training prompts by default), and print what was found.

    Raises:
        HnError: if the adapter cannot be used or a name is unknown.
    """
    kind = find("model", model)
    refuse_steering(kind, "hn diagnose")
    folder = adapter_folder(adapter)
    refuse_other_training(folder, "hypernoise")
    prompts = load_all(prompt_sets or kind.training_prompts)
    generator: Generator = kind.load(pick_device(device))
    found = diagnose(NoiseHypernetwork.load(generator, folder), generator, prompts[:samples])
    console = Console()
    console.print(_table(found))
    console.print(verdict(found), highlight=False)
