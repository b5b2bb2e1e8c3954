"""Direct LoRA fine-tuning of the generator on the reward (paper section 2), the baseline of Tables 2, 8 and 10."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from hypernoise.methods import AdapterSettings, Method, Outcome, Spent, adapter_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypernoise.generators.protocol import Generator
    from hypernoise.methods import Batch
    from hypernoise.noise.adapters import Adapter


class LoraFinetune(Method):
    """The fine-tuned generator's image of x0."""

    name: ClassVar[str] = "lora-finetune"
    presets: ClassVar[Mapping[str, AdapterSettings]] = {"paper": AdapterSettings()}
    steers: ClassVar[bool] = True
    settings: AdapterSettings
    _adapter: Adapter

    def identity(self, model: type[Generator]) -> dict[str, Any]:
        """The adapter's rank and files."""
        return adapter_identity(self.settings.folder(model, self.name))

    def attach(self, generator: Generator) -> int:
        """Load the adapter onto the generator's denoiser, once."""
        from hypernoise.noise.adapters import load_adapter  # noqa: PLC0415

        if not hasattr(self, "_adapter"):
            folder = self.settings.folder(type(generator), self.name)
            self._adapter = load_adapter(generator.denoiser, folder)
            if self.settings.merge:
                self._adapter.merge()
        return self._adapter.size

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outcome:
        """Generate from x0 with the adapter on, in every step."""
        with self._adapter.active():
            images = batch.generate(batch.noise())
        return Outcome(images, Spent(nfe=batch.steps))
