"""Merged adapters: the images of unmerged ones but for rounding, of fewer products, and a generator left as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from baselines.lora_finetune import LoraFinetune
from hypernoise.methods import AdapterSettings, Base, BaseSettings, Batch, HyperNoise, Sample
from hypernoise.noise.adapters import LoraSettings
from hypernoise.noise.hypernetwork import NoiseHypernetwork

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hypernoise.methods import Method
    from hypernoise.rewards.ensemble import Ensemble

MODELS = ("shapes", "sana", "sd-turbo", "flux")
PROMPTS = ["a photo of a ring", "a photo of a red circle"]
CPU = torch.device("cpu")


def trained(generator: Any, folder: Path) -> Path:
    """An adapter with dense branches on depthwise convolutions, as if after some training; taken off again."""
    network = NoiseHypernetwork.new(generator, LoraSettings(4, 8.0, dense_depthwise=True), 0)
    random = torch.Generator().manual_seed(7)
    for name, parameter in network.adapter.parameters.items():
        if name.endswith("lora_B.weight"):
            parameter.data.copy_(0.03 * torch.randn(parameter.shape, generator=random))
    network.adapter.save(folder, {})
    return folder


def made_by(generator: Any, reward: Ensemble, method: Method, steps: int) -> torch.Tensor:
    method.attach(generator)
    condition, texts = generator.encode(PROMPTS), reward.encode(PROMPTS)
    batch = Batch([Sample(0, 0), Sample(1, 3)], condition, texts, generator, reward, steps, CPU)
    images: torch.Tensor = method(batch).images
    return images


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", [HyperNoise, LoraFinetune])
def test_merged_and_unmerged_make_the_same_images_and_base_stays_bit_for_bit(
    model: str,
    kind: type[HyperNoise | LoraFinetune],
    fresh: Callable[[str], Any],
    reward: Ensemble,
    tmp_path: Path,
) -> None:
    folder, generator = trained(fresh(model), tmp_path), fresh(model)
    weights = {name: tensor.clone() for name, tensor in generator.denoiser.state_dict().items()}
    base = Base(BaseSettings())
    before = made_by(generator, reward, base, 2)
    unmerged = made_by(generator, reward, kind(AdapterSettings(str(folder))), 2)
    merged = made_by(generator, reward, kind(AdapterSettings(str(folder), merge=True)), 2)
    torch.testing.assert_close(merged, unmerged, rtol=1e-4, atol=1e-4)
    assert (unmerged - before).abs().max() > 0.01
    assert torch.equal(made_by(generator, reward, base, 2), before)
    after = {
        name.replace(".base_layer", ""): tensor for name, tensor in generator.denoiser.state_dict().items()
    }
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("model", MODELS)
def test_of_a_merged_noise_hypernetwork_few_layers_keep_their_branch(
    model: str, fresh: Callable[[str], Any], tmp_path: Path
) -> None:
    """The last layer, of which nothing but the branch counts, and depthwise convolutions, whose branch is dense."""
    generator = fresh(model)
    network = NoiseHypernetwork.load(generator, trained(fresh(model), tmp_path))
    network.merge()
    run: set[str] = set()
    for name, layer in network.adapter.layers.items():
        layer.lora_A[network.adapter.name].register_forward_hook(lambda *_, name=name: run.add(name))
    x0 = torch.randn(1, *generator.latent_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network(x0, generator.encode(PROMPTS[:1]))
    depthwise = {
        name
        for name, layer in network.adapter.layers.items()
        if getattr(layer.get_base_layer(), "groups", 1) > 1
    }
    assert run == depthwise | {generator.last_layer}
    assert len(run) < len(network.adapter.layers) / 4
    assert bool(depthwise) == (model in ("shapes", "sana"))


def test_a_merged_adapter_that_fails_midway_leaves_the_generator_as_it_was(
    fresh: Callable[[str], Any], tmp_path: Path
) -> None:
    generator = fresh("shapes")
    network = NoiseHypernetwork.load(generator, trained(fresh("shapes"), tmp_path))
    network.merge()
    x0, condition = torch.zeros(1, *generator.latent_shape), generator.encode(PROMPTS[:1])
    before = generator.predict(x0, condition)
    with pytest.raises(RuntimeError), network.adapter.active():
        generator.predict(x0[:, :1], condition)
    assert torch.equal(generator.predict(x0, condition), before)
