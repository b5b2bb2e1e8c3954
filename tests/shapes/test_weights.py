"""The bundled weights: small, in half precision, read without running code, identified by their content."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from hypernoise.generators.shapes import ShapesGenerator
from hypernoise.noise.settings import PRESETS
from hypernoise.rewards.shapes import ShapesClip, ShapesMatch
from hypernoise.shapes import weights
from hypernoise.shapes.networks import TextEncoder, build_transformer
from hypernoise.shapes.scorers import CrossScorer

FILES = sorted(weights.bundle().rglob("*.safetensors"))


def name(path: Path) -> str:
    return str(path.relative_to(weights.bundle()))


def test_the_bundle_holds_five_parts_and_nothing_that_runs() -> None:
    assert {path.relative_to(weights.bundle()).parts[0] for path in FILES} == {
        "autoencoder",
        "transformer",
        "text_encoder.safetensors",
        "clip.safetensors",
        "match.safetensors",
    }
    others = {path.name for path in weights.bundle().rglob("*") if path.is_file()} - {p.name for p in FILES}
    assert others == {"config.json"}


def test_all_bundled_weights_are_small_together() -> None:
    files = [path for folder in (weights.bundle(), weights.adapters()) for path in folder.rglob("*")]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 20_000_000


@pytest.mark.parametrize(("method", "kind"), [("hypernoise", "hypernoise"), ("lora-finetune", "lora")])
def test_a_bundled_adapter_is_what_its_preset_trains(method: str, kind: str) -> None:
    facts = json.loads((Path(ShapesGenerator.adapters[method]) / "training.json").read_text())
    assert facts["kind"] == kind
    assert facts["settings"] == asdict(PRESETS[kind]["shapes"])
    assert facts["rewards"] == ShapesGenerator.default_rewards
    assert facts["skipped_steps"] == 0


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_hold_finite_numbers_of_half_precision(path: Path) -> None:
    with safe_open(path, "pt") as file:
        tensors = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118 - not a mapping
    assert tensors
    assert {tensor.dtype for tensor in tensors} == {torch.float16}
    assert all(tensor.isfinite().all() for tensor in tensors)


def test_a_stored_state_comes_back_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "new" / "text.safetensors"
    encoder = TextEncoder()
    weights.save_state(encoder.state_dict(), path)
    loaded = weights.load_state(path)
    assert {tensor.dtype for tensor in loaded.values()} == {torch.float32}
    for key, tensor in encoder.state_dict().items():
        assert torch.allclose(loaded[key], tensor, atol=1e-6, rtol=1e-3)
    TextEncoder().load_state_dict(loaded)


def test_a_stored_model_is_halved_on_disk(tmp_path: Path) -> None:
    model = build_transformer()
    weights.save_model(model, tmp_path)
    with safe_open(tmp_path / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118


def test_hashes_name_every_file_that_is_loaded() -> None:
    known = ShapesGenerator.weights() | ShapesClip.weights() | ShapesMatch.weights()
    configurations = {name(path) for path in weights.bundle().rglob("config.json")}
    assert set(known) == {name(path) for path in FILES} | configurations
    assert all(len(digest) == 64 for digest in known.values())
    assert len(set(known.values())) == len(known)


def test_hashes_change_with_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "bundle", lambda: tmp_path)
    state = CrossScorer().state_dict()
    weights.save_state(state, tmp_path / "match.safetensors")
    (before,) = weights.hashes("match.safetensors").values()
    weights.save_state(state, tmp_path / "match.safetensors")
    assert weights.hashes("match.safetensors") == {"match.safetensors": before}
    state["trunk.positions"][0, 0] += 1
    weights.save_state(state, tmp_path / "match.safetensors")
    (after,) = weights.hashes("match.safetensors").values()
    assert after != before


def test_a_folder_is_hashed_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "bundle", lambda: tmp_path)
    weights.save_model(build_transformer(), tmp_path / "transformer")
    expected = ["transformer/config.json", "transformer/diffusion_pytorch_model.safetensors"]
    assert list(weights.hashes("transformer")) == expected
