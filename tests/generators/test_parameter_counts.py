"""Sizes of the real models and their adapters, from the published configurations, without memory for a weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    FluxTransformer2DModel,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)

from hypernoise.noise.adapters import Adapter, LoraSettings, adapted_layers
from hypernoise.registry import find

SANA: dict[str, Any] = {
    "in_channels": 32,
    "out_channels": 32,
    "attention_head_dim": 32,
    "caption_channels": 2304,
    "mlp_ratio": 2.5,
    "patch_size": 1,
    "sample_size": 32,
    "guidance_embeds": True,
    "guidance_embeds_scale": 0.1,
    "qk_norm": "rms_norm_across_heads",
}
SANA_SMALL = SANA | {
    "num_layers": 28,
    "num_attention_heads": 36,
    "num_cross_attention_heads": 16,
    "cross_attention_head_dim": 72,
    "cross_attention_dim": 1152,
}
SANA_LARGE = SANA | {
    "num_layers": 20,
    "num_attention_heads": 70,
    "num_cross_attention_heads": 20,
    "cross_attention_head_dim": 112,
    "cross_attention_dim": 2240,
}
SD2: dict[str, Any] = {
    "attention_head_dim": (5, 10, 20, 20),
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
}
SDXL: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
SD3: dict[str, Any] = {
    "num_layers": 24,
    "num_attention_heads": 24,
    "caption_projection_dim": 1536,
    "pos_embed_max_size": 192,
}
SD35: dict[str, Any] = {
    "num_layers": 38,
    "num_attention_heads": 38,
    "caption_projection_dim": 2432,
    "pos_embed_max_size": 192,
    "qk_norm": "rms_norm",
}

MODELS: list[tuple[str, Any, dict[str, Any], float]] = [
    ("sana", SanaTransformer2DModel, SANA_SMALL, 0.5935),
    ("sana-1.6b", SanaTransformer2DModel, SANA_LARGE, 1.6102),
    ("sd-turbo", UNet2DConditionModel, SD2, 0.8659),
    ("sdxl-turbo", UNet2DConditionModel, SDXL, 2.5675),
    ("flux", FluxTransformer2DModel, {}, 11.8912),
    ("flux-dev", FluxTransformer2DModel, {"guidance_embeds": True}, 11.9014),
    ("sd3-medium", SD3Transformer2DModel, SD3, 2.0283),
    ("sd3.5-turbo", SD3Transformer2DModel, SD35, 8.0566),
]

ADAPTERS: list[tuple[str, int, bool, float]] = [
    ("sana", 128, True, 0.3147),
    ("sana", 128, False, 0.1083),
    ("sd-turbo", 256, True, 0.2730),
    ("flux", 128, True, 0.69),
]


def build(name: str) -> Any:
    kind, config = next(row[1:3] for row in MODELS if row[0] == name)
    with torch.device("meta"):
        return kind(**config)


@pytest.mark.parametrize(("name", "billions"), [(row[0], row[3]) for row in MODELS])
def test_generators_have_their_published_sizes(name: str, billions: float) -> None:
    count = sum(parameter.numel() for parameter in build(name).parameters()) / 1e9
    assert count == pytest.approx(billions, abs=5e-5)
    assert find("model", name).card.parameters == pytest.approx(count, abs=5e-3)


@pytest.mark.parametrize("name", ["dpo-sdxl", "hyper-sdxl", "sdxl"])
def test_all_of_sdxl_are_of_one_size(name: str) -> None:
    assert find("model", name).card.parameters == find("model", "sdxl-turbo").card.parameters


@pytest.mark.parametrize(("name", "rank", "dense", "billions"), ADAPTERS)
def test_adapters_have_the_sizes_of_table_1(name: str, rank: int, dense: bool, billions: float) -> None:
    denoiser = build(name)
    layers = adapted_layers(denoiser, dense_depthwise=dense)
    with torch.device("meta"):
        adapter = Adapter(denoiser, layers, LoraSettings(rank, rank, dense))
    assert find("model", name).last_layer in adapter.layers
    assert adapter.size / 1e9 == pytest.approx(billions, abs=5e-3 if name == "flux" else 5e-5)
