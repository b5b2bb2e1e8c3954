"""mmdet 3.x' weights of Mask2Former on Swin, by the names and in the order that transformers' class has them.

Both are the same network. Beside names, they differ in two places: mmdet keeps the queries, keys and values of
self-attention in one matrix, and where Swin merges four patches it orders them channel by channel, transformers patch
by patch, and down before right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypernoise.rewards.checkpoints import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch

PARTS = (
    (r"^backbone\.patch_embed\.projection", "encoder.swin.embeddings.patch_embeddings.projection"),
    (r"^backbone\.patch_embed\.norm", "encoder.swin.embeddings.norm"),
    (r"^backbone\.norm3", "encoder.hidden_states_norms.stage4"),
    (r"^backbone\.norm2", "encoder.hidden_states_norms.stage3"),
    (r"^backbone\.norm1", "encoder.hidden_states_norms.stage2"),
    (r"^backbone\.norm0", "encoder.hidden_states_norms.stage1"),
    (r"^backbone\.stages", "encoder.swin.encoder.layers"),
    (r"^panoptic_head\.pixel_decoder\.lateral_convs\.0", "decoder.adapter_1"),
    (r"^panoptic_head\.pixel_decoder\.output_convs\.0", "decoder.layer_1"),
    (r"^panoptic_head\.pixel_decoder\.input_convs", "decoder.input_projections"),
    (r"^panoptic_head\.pixel_decoder\.level_encoding\.weight", "decoder.level_embed"),
    (r"^panoptic_head\.pixel_decoder\.mask_feature", "decoder.mask_projection"),
    (r"^panoptic_head\.pixel_decoder", "decoder"),
    (r"^(?=encoder|decoder)", "model.pixel_level_module."),
    (r"^panoptic_head\.query_embed", "model.transformer_module.queries_embedder"),
    (r"^panoptic_head\.query_feat", "model.transformer_module.queries_features"),
    (r"^panoptic_head\.level_embed", "model.transformer_module.level_embed"),
    (r"^panoptic_head\.transformer_decoder\.post_norm", "model.transformer_module.decoder.layernorm"),
    (r"^panoptic_head\.transformer_decoder", "model.transformer_module.decoder"),
    (r"^panoptic_head\.mask_embed\.0", "model.transformer_module.decoder.mask_predictor.mask_embedder.0.0"),
    (r"^panoptic_head\.mask_embed\.2", "model.transformer_module.decoder.mask_predictor.mask_embedder.1.0"),
    (r"^panoptic_head\.mask_embed\.4", "model.transformer_module.decoder.mask_predictor.mask_embedder.2.0"),
    (r"^panoptic_head\.cls_embed", "class_predictor"),
)
"""Patterns of mmdet's names and what transformers has instead, applied one after the other."""

LAYERS = (
    (r"\.conv\.", ".0."),
    (r"\.gn\.", ".1."),
    (r"\.ffn\.layers\.0\.0\.", ".fc1."),
    (r"\.ffn\.layers\.1\.", ".fc2."),
    (r"(swin\..*)\.fc(?=[12]\.)", r"\1.mlp.fc"),
    (r"(swin\..*)\.norm1\.", r"\1.layernorm_before."),
    (r"(swin\..*)\.norm2\.", r"\1.layernorm_after."),
    (r"\.attn\.w_msa\.proj\.", ".attention.o_proj."),
    (r"\.attn\.w_msa\.qkv\.", ".attention.qkv."),
    (
        r"\.attn\.w_msa\.relative_position_bias_table",
        ".attention.relative_position_bias.relative_position_bias_table",
    ),
    (r"(pixel_level_module\..*)\.norms\.0\.", r"\1.self_attn_layer_norm."),
    (r"(pixel_level_module\..*)\.norms\.1\.", r"\1.final_layer_norm."),
    (r"\.norms\.0\.", ".cross_attn_layer_norm."),
    (r"\.norms\.1\.", ".self_attn_layer_norm."),
    (r"\.norms\.2\.", ".final_layer_norm."),
    (r"\.cross_attn\.attn\.", ".cross_attn."),
    (r"\.self_attn\.attn\.in_proj_", ".self_attn.qkv."),
    (r"\.self_attn\.attn\.", ".self_attn."),
)
"""The same for what stands in every layer."""

COMPUTED = "relative_position_index"
"""A buffer of mmdet's that transformers computes."""


def renamed(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state of mmdet's network as one of transformers' `Mask2FormerForUniversalSegmentation`."""
    return {
        name: weight
        for theirs, tensor in state.items()
        if not theirs.endswith(COMPUTED)
        for name, weight in _separated(translated(theirs, (*PARTS, *LAYERS)), tensor)
    }


def _separated(name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """One matrix as three where transformers has three; patches in its order."""
    if ".qkv." in name:
        for kind, part in zip("qkv", tensor.chunk(3), strict=True):
            yield name.replace(".qkv.", f".{kind}_proj."), part
    elif ".downsample." in name:
        yield name, _by_patch(tensor)
    else:
        yield name, tensor


def _by_patch(tensor: torch.Tensor) -> torch.Tensor:
    """The last axis from (channel, row, column) to (column, row, channel)."""
    return tensor.unflatten(-1, (-1, 2, 2)).transpose(-1, -3).flatten(-3)
