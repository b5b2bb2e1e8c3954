"""SANA-Sprint, the paper's main generator (Chen et al. 2025), 1024 pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from diffusers import SanaSprintPipeline

from hypernoise.generators.pipelines import PipelineGenerator, pipeline_files
from hypernoise.generators.protocol import AMPLE, Card
from hypernoise.generators.scm import ScmSampler
from hypernoise.hub import HubFiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from hypernoise.generators.protocol import Encoded, Memory, StepNoise

LICENCE = "NVIDIA License (NSCL v2-custom), Gemma Terms of Use"


def _files(repo: str, gigabytes: float) -> HubFiles:
    files = pipeline_files("transformer", "vae", sharded=("text_encoder",))
    return HubFiles(repo, files, gigabytes, LICENCE)


class SanaSprint(PipelineGenerator):
    """SANA-Sprint with 0.6 billion parameters, sampled by `ScmSampler`."""

    name: ClassVar[str] = "sana"
    card: ClassVar[Card] = Card(
        sources=(_files("Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers", 7.7),),
        parameters=0.594,
        resolution=1024,
        steps=1,
        gigabytes=10,
    )
    adapters: ClassVar[Mapping[str, str]] = {"hypernoise": "lucaeyring/HyperNoise_Sana_Sprint_0.6B"}
    pipeline_class: ClassVar[Any] = SanaSprintPipeline
    last_layer: ClassVar[str] = "proj_out"
    embeddings: ClassVar[tuple[str, ...]] = ("embeddings", "mask")
    guidance: ClassVar[float] = 4.5

    def __init__(self, pipeline: Any, device: torch.device, memory: Memory = AMPLE) -> None:
        super().__init__(pipeline, device, memory)
        sigma_data = pipeline.scheduler.config.sigma_data
        self.sampler = ScmSampler(pipeline.transformer, pipeline.vae, sigma_data, self.guidance)

    def _encode_prompt(self, prompts: list[str]) -> Sequence[torch.Tensor | None]:
        """Without the instruction that the pipeline would put before prompts, as the published HyperNoise does."""
        encoded: Sequence[torch.Tensor] = self.pipeline.encode_prompt(
            prompts, device=self.device, complex_human_instruction=None
        )
        return encoded

    def predict(self, x0: torch.Tensor, condition: Encoded) -> torch.Tensor:
        """The transformer's output [B, *latent_shape] for x0 at time 1, with guidance."""
        return self.sampler.output(x0, condition, s=1.0)

    def generate(
        self, x0: torch.Tensor, condition: Encoded, steps: int = 1, step_noise: StepNoise | None = None
    ) -> torch.Tensor:
        """Images [B, 3, H, W] in [0, 1] from x0 [B, *latent_shape]; differentiable in x0.

        Raises:
            ValueError: if there is more than one step and no `step_noise`.
        """
        images: torch.Tensor = self.sampler(x0, condition, steps, step_noise)
        return images


class SanaSprintLarge(SanaSprint):
    """SANA-Sprint with 1.6 billion parameters, for which no adapter is published."""

    name: ClassVar[str] = "sana-1.6b"
    adapters: ClassVar[Mapping[str, str]] = {}
    card: ClassVar[Card] = Card(
        sources=(_files("Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers", 9.8),),
        parameters=1.610,
        resolution=1024,
        steps=1,
        gigabytes=13,
    )
