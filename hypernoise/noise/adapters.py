"""LoRA adapters on a generator's denoiser (peft): attached, switched, saved and loaded.

One copy of the base weights serves the frozen generator and every adapter that is not merged. An adapter is off but
inside `active()`, and with all adapters off the denoiser is bit for bit the untouched one.
"""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save
from torch import nn

from hypernoise.errors import HnError
from hypernoise.files import write_atomically
from hypernoise.noise.adapter_files import TRAINING
from hypernoise.noise.dense_depthwise import DenseBranchConv2d, branch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

CONFIG, WEIGHTS, PICKLED = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
PEFT_PREFIX = "base_model.model."
"""Begins every name in an adapter that peft itself saved; the published ones lack it."""
OTHER_TECHNIQUES = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "lora_bias", "modules_to_save")


@dataclass(frozen=True)
class LoraSettings:
    """Size of an adapter's branches, which are scaled by alpha / rank.

    `dense_depthwise` adds branches to the depthwise convolutions, as the published adapters have them.
    """

    rank: int = 128
    alpha: float = 256.0
    dense_depthwise: bool = True

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise ValueError("rank must be at least 1 and alpha above 0")


def adapted_layers(denoiser: nn.Module, *, dense_depthwise: bool) -> list[str]:
    """Names of all linear layers and convolutions, the depthwise ones where asked for."""
    names = []
    for name, module in denoiser.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and ".lora_" not in name:
            depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
            if dense_depthwise or not depthwise:
                names.append(name.removesuffix(".base_layer"))
    return names


@dataclass(frozen=True)
class _MergedWeight:
    """A layer's weight: its own values, and these with an adapter's branch added."""

    parameter: nn.Parameter
    own: torch.Tensor
    merged: torch.Tensor


class Adapter:
    """One set of LoRA weights: A drawn from N(0, 1/rank²), B zero; frozen, and off unless `active`."""

    def __init__(
        self, denoiser: nn.Module, layers: Sequence[str], settings: LoraSettings, seed: int = 0
    ) -> None:
        self.settings = settings
        self.name = f"adapter{len(_adapter_names(denoiser))}"
        self.config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            target_modules=sorted(layers),
            init_lora_weights="gaussian",
        )
        self.config._register_custom_module({nn.Conv2d: branch})
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several adapters are meant
            torch.manual_seed(seed)
            inject_adapter_in_model(self.config, denoiser, self.name)
        found = dict(denoiser.named_modules())
        self.layers: dict[str, Any] = {name: found[name] for name in sorted(layers)}
        self.parameters: dict[str, nn.Parameter] = {
            f"{name}.lora_{half}.weight": getattr(layer, f"lora_{half}")[self.name].weight
            for name, layer in self.layers.items()
            for half in ("A", "B")
        }
        self._branches = list(self.layers.values())
        self._merged: list[_MergedWeight] = []
        denoiser.requires_grad_(requires_grad=False)
        self._switch(on=False)

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    def _switch(self, *, on: bool) -> None:
        """Switch its layers. peft's own switch takes milliseconds, for it also decides what is trained."""
        for layer in self._branches:
            layer._disable_adapters, layer._active_adapter = not on, [self.name]
        for weight in self._merged:
            weight.parameter.data = weight.merged if on else weight.own

    @contextmanager
    def active(self) -> Iterator[None]:
        """Inside, the denoiser computes with this adapter and no other."""
        self._switch(on=True)
        try:
            yield
        finally:
            self._switch(on=False)

    def merge(self, *, but: Collection[str] = ()) -> None:
        """For inference: add branches to copies of their layers' weights, which take these weights' place while active.

        An image takes fewer products, and the copies as much memory as the weights. Kept as branches are the layers
        named in `but`, and those of depthwise convolutions, which are dense: merged they would be larger and slower.
        """
        kept = {
            name for name, layer in self.layers.items() if name in but or isinstance(layer, DenseBranchConv2d)
        }
        for name in self.layers.keys() - kept:
            parameter = self.layers[name].get_base_layer().weight
            delta = self.layers[name].get_delta_weight(self.name)
            self._merged.append(_MergedWeight(parameter, parameter.data, (parameter + delta).detach()))
        self._branches = [self.layers[name] for name in sorted(kept)]

    def trainable(self) -> list[nn.Parameter]:
        """The weights, from now on with gradients."""
        for parameter in self.parameters.values():
            parameter.requires_grad_()
        return list(self.parameters.values())

    def load(self, weights: Mapping[str, torch.Tensor], source: object) -> None:
        """Take over weights by the names in `parameters`.

        Raises:
            HnError: if a name or a shape differs; nothing is taken over then.
        """
        for name in [*weights, *self.parameters]:
            here, there = self.parameters.get(name), weights.get(name)
            if here is None or there is None or here.shape != there.shape:
                raise HnError(
                    f"The adapter {source} does not fit this generator: {name} is {_shape(there)} in the adapter "
                    f"and {_shape(here)} in the generator."
                )
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(weights[name])

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write a standard peft folder, and in `training.json` the facts about how the adapter was made."""
        state = {PEFT_PREFIX + name: tensor.detach().contiguous() for name, tensor in self.parameters.items()}
        write_atomically(folder / WEIGHTS, save(state))
        write_atomically(folder / TRAINING, _json(facts))
        config = self.config.to_dict()
        sets = {key: sorted(value) for key, value in config.items() if isinstance(value, set)}
        write_atomically(folder / CONFIG, _json(config | sets | {"inference_mode": True}))


def _json(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=2, sort_keys=True) + "\n").encode()


def _adapter_names(denoiser: nn.Module) -> set[str]:
    layers = (module for module in denoiser.modules() if isinstance(module, LoraLayer))
    return {name for layer in layers for name in layer.lora_A}


def _shape(tensor: torch.Tensor | None) -> str:
    return "absent" if tensor is None else "×".join(map(str, tensor.shape))


def read_config(folder: Path) -> dict[str, Any]:
    """The peft configuration in an adapter's folder.

    Raises:
        HnError: if there is none, or it is not that of a plain LoRA.
    """
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        plain = config["peft_type"] == "LORA" and config["r"] > 0 and config["lora_alpha"] > 0
    except (OSError, ValueError, KeyError, TypeError):
        raise HnError(f"{folder} is no adapter: its {CONFIG} is missing or cannot be read.") from None
    other = [technique for technique in OTHER_TECHNIQUES if config.get(technique)]
    if other or not plain:
        raise HnError(f"The adapter {folder} is not plain LoRA: {', '.join(other) or config['peft_type']}.")
    return config


def weight_file(folder: Path) -> Path:
    """The file that an adapter's weights are read from."""
    return folder / (WEIGHTS if (folder / WEIGHTS).exists() else PICKLED)


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = weight_file(folder)
    try:
        safe = path.name == WEIGHTS
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
        return {name.removeprefix(PEFT_PREFIX): tensor.float() for name, tensor in state.items()}
    except Exception:  # a damaged file makes the readers raise errors of many kinds
        raise HnError(f"{path} is missing or cannot be read as plain tensors.") from None


def load_adapter(denoiser: nn.Module, folder: Path) -> Adapter:
    """Attach a stored adapter: a peft folder, or one in the layout of the published checkpoints.

    Raises:
        HnError: if it cannot be read, does not fit the denoiser, is not plain LoRA, or would change nothing.
    """
    config, weights = read_config(folder), _read_weights(folder)
    layers = {name.rpartition(".lora_")[0] for name in weights}
    strange = sorted(layers - set(adapted_layers(denoiser, dense_depthwise=True)))
    if strange:
        raise HnError(
            f"The adapter {folder} was made for another generator: this one has no layer {strange[0]!r}."
        )
    if not any(tensor.any() for name, tensor in weights.items() if name.endswith("lora_B.weight")):
        raise HnError(f"The adapter {folder} would change nothing: all its second matrices are zero.")
    dense = not layers <= set(adapted_layers(denoiser, dense_depthwise=False))
    settings = LoraSettings(config["r"], config["lora_alpha"], dense)
    adapter = Adapter(denoiser, sorted(layers), settings)
    adapter.load(weights, folder)
    return adapter
