"""The noise hypernetwork on the embedded world's denoiser: nothing at the start, nothing when off, nothing silently."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from hypernoise.errors import HnError
from hypernoise.noise.adapters import LoraSettings, load_adapter
from hypernoise.noise.hypernetwork import NoiseHypernetwork

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypernoise.generators.protocol import Encoded
    from hypernoise.generators.shapes import ShapesGenerator

LORA = LoraSettings(rank=4, alpha=8.0, dense_depthwise=False)
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def own(generator: ShapesGenerator) -> ShapesGenerator:
    """A generator that a test may attach adapters to."""
    return copy.deepcopy(generator)


@pytest.fixture
def condition(generator: ShapesGenerator) -> Encoded:
    return generator.encode(["a photo of a ring", "a photo of a red circle and a blue star"])


@pytest.fixture
def x0() -> torch.Tensor:
    return torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(3))


def disturb(network: NoiseHypernetwork) -> None:
    """Weights as if after some training."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in network.adapter.parameters.items():
        if name.endswith("lora_B.weight"):
            with torch.no_grad():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


@pytest.fixture
def stored(own: ShapesGenerator, tmp_path: Path) -> Path:
    network = NoiseHypernetwork.new(own, LORA, seed=0)
    disturb(network)
    network.adapter.save(tmp_path / "adapter", {"kind": "hypernoise"})
    return tmp_path / "adapter"


def test_delta_is_exactly_zero_at_the_start_and_the_image_is_base(
    own: ShapesGenerator, generator: ShapesGenerator, condition: Encoded, x0: torch.Tensor
) -> None:
    network = NoiseHypernetwork.new(own, LORA, seed=0)
    delta = network(x0, condition)
    assert not delta.any()
    assert torch.equal(own.generate(x0 + delta, condition), generator.generate(x0, condition))


def test_off_the_generator_is_bit_for_bit_the_untouched_one(
    own: ShapesGenerator, generator: ShapesGenerator, condition: Encoded, x0: torch.Tensor
) -> None:
    network = NoiseHypernetwork.new(own, LORA, seed=0)
    disturb(network)
    assert network(x0, condition).abs().max() > 0.01
    assert torch.equal(own.predict(x0, condition), generator.predict(x0, condition))
    assert torch.equal(own.generate(x0, condition), generator.generate(x0, condition))


def test_two_adapters_do_not_meet(own: ShapesGenerator, condition: Encoded, x0: torch.Tensor) -> None:
    first = NoiseHypernetwork.new(own, LORA, seed=0)
    disturb(first)
    alone = first(x0, condition)
    second = NoiseHypernetwork.new(own, LoraSettings(2, 2.0, dense_depthwise=True), seed=1)
    disturb(second)
    assert torch.equal(first(x0, condition), alone)
    assert not torch.equal(second(x0, condition), alone)
    with second.adapter.active():
        whole = own.predict(x0, condition)
    assert torch.equal(whole, second(x0, condition))


def test_a_fine_tuned_generator_keeps_its_last_layers_base(
    own: ShapesGenerator, generator: ShapesGenerator, stored: Path, condition: Encoded, x0: torch.Tensor
) -> None:
    """The same weights as fine-tuning and as hypernetwork differ by the base layer's output, which is only moved."""
    delta = NoiseHypernetwork.load(own, stored)(x0, condition)
    tuned = copy.deepcopy(generator)
    finetune = load_adapter(tuned.denoiser, stored)
    last = finetune.layers["proj_out"]
    seen: list[torch.Tensor] = []
    last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with finetune.active():
        whole = tuned.predict(x0, condition)
    base = last.get_base_layer()(seen[0])
    torch.testing.assert_close(
        (whole - delta).flatten().sort()[0], base.flatten().sort()[0], atol=1e-4, rtol=1e-4
    )


def test_gradients_reach_every_weight_and_only_them(
    own: ShapesGenerator, condition: Encoded, x0: torch.Tensor
) -> None:
    network = NoiseHypernetwork.new(own, LORA, seed=0)
    disturb(network)
    trained = network.adapter.trainable()
    own.generate(x0 + network(x0, condition), condition).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in trained)
    others = {id(p) for p in own.denoiser.parameters()} - {id(p) for p in trained}
    assert others
    assert all(p.grad is None for p in own.denoiser.parameters() if id(p) in others)


def test_a_copy_and_a_pickle_work_as_the_original(
    own: ShapesGenerator, condition: Encoded, x0: torch.Tensor
) -> None:
    network = NoiseHypernetwork.new(own, LORA, seed=0)
    disturb(network)
    delta = network(x0, condition)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301
        assert torch.equal(other(x0, condition), delta)


def test_an_adapter_survives_its_folder(
    own: ShapesGenerator, generator: ShapesGenerator, stored: Path, condition: Encoded, x0: torch.Tensor
) -> None:
    expected = NoiseHypernetwork.new(own, LORA, seed=0)
    disturb(expected)
    fresh = copy.deepcopy(generator)
    assert torch.equal(NoiseHypernetwork.load(fresh, stored)(x0, condition), expected(x0, condition))
    assert all(name.startswith("base_model.model.") for name in load_file(stored / WEIGHTS))


def test_pefts_own_loader_reads_the_folder(
    generator: ShapesGenerator, stored: Path, condition: Encoded, x0: torch.Tensor
) -> None:
    from peft import PeftModel  # noqa: PLC0415

    ours = copy.deepcopy(generator)
    adapter = load_adapter(ours.denoiser, stored)
    with adapter.active():
        expected = ours.predict(x0, condition)
    theirs = copy.deepcopy(generator)
    theirs.sampler.transformer = PeftModel.from_pretrained(theirs.denoiser, stored)
    torch.testing.assert_close(theirs.predict(x0, condition), expected)


def test_published_spelling_and_torch_file_are_read(
    generator: ShapesGenerator, stored: Path, condition: Encoded, x0: torch.Tensor
) -> None:
    expected = NoiseHypernetwork.load(copy.deepcopy(generator), stored)(x0, condition)
    state = {k.removeprefix("base_model.model."): v for k, v in load_file(stored / WEIGHTS).items()}
    (stored / WEIGHTS).unlink()
    torch.save(state, stored / "adapter_model.bin")
    assert torch.equal(NoiseHypernetwork.load(copy.deepcopy(generator), stored)(x0, condition), expected)


def _edited(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    state = load_file(folder / WEIGHTS)
    edit(state)
    save_file(state, folder / WEIGHTS)


def _zero(state: dict[str, torch.Tensor]) -> None:
    for name, tensor in state.items():
        if "lora_B" in name:
            tensor.zero_()


def _rename(state: dict[str, torch.Tensor]) -> None:
    for half in ("A", "B"):
        name = f"base_model.model.proj_out.lora_{half}.weight"
        state[name.replace("proj_out", "conv_out")] = state.pop(name)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_zero, "would change nothing"),
        (lambda s: s["base_model.model.proj_out.lora_B.weight"].zero_(), "would change no noise"),
        (_rename, "no layer 'conv_out'"),
        (lambda s: s.pop("base_model.model.proj_out.lora_A.weight"), "proj_out.lora_A.weight is absent"),
        (
            lambda s: [s.pop(f"base_model.model.proj_out.lora_{half}.weight") for half in "AB"],
            "no noise hypernetwork",
        ),
        (
            lambda s: s.update({"base_model.model.proj_out.lora_A.weight": torch.ones(3, 160)}),
            "3×160 in the adapter and 4×160 in the generator",
        ),
    ],
)
def test_an_adapter_that_does_not_do_its_work_is_refused(
    generator: ShapesGenerator, stored: Path, edit: Callable[..., None], said: str
) -> None:
    _edited(stored, edit)
    with pytest.raises(HnError, match=said):
        NoiseHypernetwork.load(copy.deepcopy(generator), stored)


def test_other_techniques_damage_and_pickled_code_are_refused(
    generator: ShapesGenerator, stored: Path, tmp_path: Path
) -> None:
    config = json.loads((stored / "adapter_config.json").read_text())
    (stored / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    with pytest.raises(HnError, match="not plain LoRA: use_dora"):
        load_adapter(copy.deepcopy(generator).denoiser, stored)
    (stored / "adapter_config.json").write_text(json.dumps(config))
    (stored / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(HnError, match="cannot be read as plain tensors"):
        load_adapter(copy.deepcopy(generator).denoiser, stored)
    (stored / WEIGHTS).unlink()
    (stored / "adapter_model.bin").write_bytes(pickle.dumps({"a": tmp_path.exists}))
    with pytest.raises(HnError, match="cannot be read as plain tensors"):
        load_adapter(copy.deepcopy(generator).denoiser, stored)
    with pytest.raises(HnError, match="is no adapter"):
        load_adapter(copy.deepcopy(generator).denoiser, tmp_path)
