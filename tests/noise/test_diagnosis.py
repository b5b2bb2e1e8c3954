"""What `hn diagnose` measures, against the same adapter's exact Jacobian, and what it says of Theorem 1."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch

from hypernoise.noise import diagnosis
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.diagnosis import Diagnosis, diagnose, verdict
from hypernoise.noise.hypernetwork import NoiseHypernetwork
from hypernoise.noise.objective import Divergence

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypernoise.generators.shapes import ShapesGenerator

PROMPTS = ["a photo of a ring", "a photo of a red circle and a blue star"]


@pytest.fixture(scope="module")
def network(generator: ShapesGenerator) -> NoiseHypernetwork:
    made = NoiseHypernetwork.new(copy.deepcopy(generator), LoraSettings(4, 8.0, dense_depthwise=False), 0)
    random = torch.Generator().manual_seed(7)
    for name, parameter in made.adapter.parameters.items():
        if name.endswith("lora_B.weight"):
            parameter.data.add_(0.01 * torch.randn(parameter.shape, generator=random))
    return made


@pytest.fixture(scope="module")
def exact(network: NoiseHypernetwork) -> Diagnosis:
    return diagnose(network, network.generator, PROMPTS)


def test_a_small_latent_is_measured_exactly(exact: Diagnosis) -> None:
    assert exact.exact
    assert exact.dimension == 512
    assert exact.norms.shape == exact.terms.kl.shape == (2,)
    assert (exact.terms.half_square > 0).all()
    assert (exact.norms > 0).all()


def test_a_large_latent_is_estimated_near_the_exact_values(
    exact: Diagnosis, network: NoiseHypernetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "LARGEST_EXACT", 0)
    found = diagnose(network, network.generator, PROMPTS)
    assert not found.exact
    torch.testing.assert_close(found.terms.half_square, exact.terms.half_square, rtol=1e-3, atol=0)
    torch.testing.assert_close(found.norms, exact.norms, rtol=0.05, atol=0)
    error = 4 * float(exact.norms.max()) * (2 * 512 / diagnosis.PROBES) ** 0.5
    torch.testing.assert_close(found.terms.trace, exact.terms.trace, atol=error, rtol=0)
    torch.testing.assert_close(found.terms.log_det, exact.terms.log_det, atol=error, rtol=0)


@pytest.mark.parametrize(
    ("norm", "said"), [(0.5, "is not contradicted"), (1.5, "does not hold, and equation 9 bounds nothing")]
)
def test_theorem_1_is_judged_by_the_largest_slope(norm: float, said: str) -> None:
    one = torch.ones(2, dtype=torch.float64)
    found = Diagnosis(Divergence(one, one, one), torch.tensor([0.1, norm]), 512, exact=True)
    assert found.premise_holds == (norm < 1)
    assert said in verdict(found)
    assert f"{norm:.3f}" in verdict(found)


def test_the_command_prints_every_term(
    network: NoiseHypernetwork, tmp_path: Path, hn: Callable[..., list[str]]
) -> None:
    network.adapter.save(tmp_path, {})
    printed = "\n".join(hn("diagnose", tmp_path, "--samples", 2, "--device", "cpu"))
    for term in ("½‖f‖²", "Tr J", "log|det(I + J)|", "KL divergence", "leaves out", "Theorem 1"):
        assert term in printed


def test_the_command_refuses_what_is_no_adapter(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert "is no adapter" in refusal("diagnose", tmp_path)
