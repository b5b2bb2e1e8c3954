"""LoRA on depthwise convolutions with a dense branch, as peft before 0.16 made it and published adapters hold it.

Today's peft gives the second half of the branch as many groups as the convolution has, and refuses ranks that these do
not divide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peft.tuners import lora
from torch import nn

if TYPE_CHECKING:
    from peft import LoraConfig


class DenseBranchConv2d(lora.Conv2d):  # type: ignore[misc] # peft is not typed
    """A grouped convolution beside a low-rank one that mixes all channels; it cannot be merged.

    Not initialized as its parent is, which refuses the groups.
    """

    def __init__(
        self,
        base_layer: nn.Conv2d,
        adapter_name: str,
        config: LoraConfig,
        r: int,
        lora_alpha: float,
        **_: Any,
    ) -> None:
        nn.Module.__init__(self)
        lora.LoraLayer.__init__(self, base_layer)
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, r, lora_alpha, config)

    def update_layer(
        self, adapter_name: str, r: int, lora_alpha: float, config: LoraConfig, **_: Any
    ) -> None:
        """Add an adapter's branch: in -> rank with the convolution's kernel, rank -> out pointwise."""
        base = self.get_base_layer()
        self.r[adapter_name], self.lora_alpha[adapter_name] = r, lora_alpha
        self.scaling[adapter_name] = lora_alpha / r
        self.lora_dropout[adapter_name] = nn.Identity()
        self.lora_A[adapter_name] = nn.Conv2d(
            base.in_channels, r, base.kernel_size, base.stride, base.padding, bias=False
        )
        self.lora_B[adapter_name] = nn.Conv2d(r, base.out_channels, 1, bias=False)
        self.lora_bias[adapter_name] = self.use_rslora[adapter_name] = False
        self.reset_lora_parameters(adapter_name, config.init_lora_weights)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters)


def branch(target: Any, adapter_name: str, config: LoraConfig, **settings: Any) -> nn.Module:
    """What peft puts around a convolution: its own layer, or the dense branch where there are groups."""
    base = target.get_base_layer() if isinstance(target, lora.LoraLayer) else target
    kind = DenseBranchConv2d if base.groups > 1 else lora.Conv2d
    return kind(target, adapter_name, config=config, **settings)
