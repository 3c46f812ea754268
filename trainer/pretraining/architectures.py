"""The tiny architectures: two real families cut down so that one image token sees one scene cell.

56x56 pixels, patches of 7, 2x2 merged: 16 image tokens of 14x14 pixels, the 4x4 grid of a scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

from infra.errors import BackboneError
from trainer.model.backbone import Backbone
from trainer.pretraining.tokenizer import PAD, train_tokenizer

IMAGE_SIDE = 56
PATCH_SIDE = 7
MERGED_PATCHES = 2
IMAGE_TOKENS = (IMAGE_SIDE // PATCH_SIDE // MERGED_PATCHES) ** 2
VISION = {"hidden_size": 64, "depth": 2, "heads": 4, "intermediate_size": 160}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Shape of the language model."""

    hidden_size: int
    layers: int
    heads: int
    intermediate_size: int


SCALES = {
    "xs": Scale(hidden_size=80, layers=2, heads=4, intermediate_size=160),
    "s": Scale(hidden_size=144, layers=3, heads=4, intermediate_size=288),
}
FAMILIES = ("tiny-qwen2.5-vl", "tiny-internvl3")
MODEL_TYPES = {"tiny-qwen2.5-vl": "qwen2_5_vl", "tiny-internvl3": "internvl"}


def random_backbone(
    family: str = "tiny-qwen2.5-vl",
    scale: str = "xs",
    *,
    seed: int = 0,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Backbone:
    """A tiny backbone with random weights; a plain byte tokenizer when none is given."""
    if family not in FAMILIES or scale not in SCALES:
        raise BackboneError(
            f"no tiny architecture {family!r} {scale!r}; families: {', '.join(FAMILIES)}, "
            f"scales: {', '.join(SCALES)}"
        )
    if tokenizer is None:
        tokenizer = train_tokenizer((), vocabulary_size=0, model_type=MODEL_TYPES[family])
    build = _tiny_qwen if family == "tiny-qwen2.5-vl" else _tiny_internvl
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = build(SCALES[scale], tokenizer)
        spread_weights(backbone.module)
    return backbone


def spread_weights(module: nn.Module) -> None:
    """Linear weights at 1/sqrt(fan in): the vendors' 0.02 is far too small for narrow layers."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear | nn.Conv2d | nn.Conv3d):
                fan_in = math.prod(part.weight.shape[1:])
                part.weight.normal_(std=fan_in**-0.5)
            elif isinstance(part, nn.Embedding):
                part.weight.normal_(std=0.1)


def _text(scale: Scale, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": scale.hidden_size,
        "intermediate_size": scale.intermediate_size,
        "num_hidden_layers": scale.layers,
        "num_attention_heads": scale.heads,
        "num_key_value_heads": scale.heads,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
        "tie_word_embeddings": True,
    }


def _tiny_qwen(scale: Scale, tokenizer: PreTrainedTokenizerBase) -> Backbone:
    half = scale.hidden_size // scale.heads // 2
    sides = half // 3
    config = Qwen2_5_VLConfig(
        text_config=_text(scale, tokenizer)
        | {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [half - 2 * sides, sides, sides],
            }
        },
        vision_config={
            "hidden_size": VISION["hidden_size"],
            "depth": VISION["depth"],
            "num_heads": VISION["heads"],
            "intermediate_size": VISION["intermediate_size"],
            "out_hidden_size": scale.hidden_size,
            "patch_size": PATCH_SIDE,
            "spatial_merge_size": MERGED_PATCHES,
            "temporal_patch_size": 1,
            "window_size": IMAGE_SIDE,
            "fullatt_block_indexes": list(range(VISION["depth"])),
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": IMAGE_SIDE**2, "longest_edge": IMAGE_SIDE**2},
        patch_size=PATCH_SIDE,
        merge_size=MERGED_PATCHES,
        temporal_patch_size=1,
    )
    return Backbone(_evaluating(Qwen2_5_VLForConditionalGeneration(config)), tokenizer, processor)


def _tiny_internvl(scale: Scale, tokenizer: PreTrainedTokenizerBase) -> Backbone:
    config = InternVLConfig(
        text_config=_text(scale, tokenizer)
        | {
            "model_type": "qwen2",
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        },
        vision_config={
            "hidden_size": VISION["hidden_size"],
            "num_hidden_layers": VISION["depth"],
            "num_attention_heads": VISION["heads"],
            "intermediate_size": VISION["intermediate_size"],
            "image_size": [IMAGE_SIDE, IMAGE_SIDE],
            "patch_size": [PATCH_SIDE, PATCH_SIDE],
            "attention_bias": True,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=IMAGE_TOKENS,
        downsample_ratio=1 / MERGED_PATCHES,
        tie_word_embeddings=True,
    )
    processor = GotOcr2ImageProcessorPil(
        size={"height": IMAGE_SIDE, "width": IMAGE_SIDE},
        crop_to_patches=True,
        min_patches=1,
        max_patches=1,
    )
    return Backbone(_evaluating(InternVLForConditionalGeneration(config)), tokenizer, processor)


def _evaluating(module: PreTrainedModel) -> PreTrainedModel:
    module.set_attn_implementation("sdpa")
    return module.eval()
