"""Random backbones of every architecture the code path covers, a few kilobytes each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessorPil,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessorPil,
)

from trainer.model.backbone import Backbone
from trainer.pretraining.architectures import random_backbone, spread_weights
from trainer.pretraining.tokenizer import train_tokenizer

VISION_KINDS = ("qwen2_5_vl", "qwen3_vl", "internvl", "llava_onevision", "smolvlm")
TEXT_KINDS = ("llama", "qwen2")
KINDS = (*VISION_KINDS, *TEXT_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Widths and depths of both halves of a backbone."""

    hidden_size: int
    mlp_size: int
    layers: int

    @property
    def text(self) -> dict[str, object]:
        """Of a language model."""
        return {
            "hidden_size": self.hidden_size,
            "intermediate_size": self.mlp_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
        }

    @property
    def siglip(self) -> dict[str, object]:
        """Of a vision tower."""
        return {
            "hidden_size": self.hidden_size,
            "intermediate_size": self.mlp_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": 4,
            "image_size": 28,
            "patch_size": 7,
        }


NARROW = Shape(hidden_size=32, mlp_size=48, layers=2)


def tiny_backbone(kind: str, *, seed: int = 0, shape: Shape = NARROW) -> Backbone:
    """A random backbone of one architecture, with a plain byte tokenizer.

    The two families that are shipped have a shape of their own.
    """
    if kind == "qwen2_5_vl":
        return random_backbone("tiny-qwen2.5-vl", "xs", seed=seed)
    if kind == "internvl":
        return random_backbone("tiny-internvl3", "xs", seed=seed)
    tokenizer = train_tokenizer((), vocabulary_size=0, model_type=kind)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = _BUILDERS[kind](tokenizer, shape)
        spread_weights(backbone.module)
    backbone.module.set_attn_implementation("sdpa")
    backbone.module.eval()
    return backbone


def _text(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> dict[str, object]:
    return shape.text | {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }


def _qwen3_vl(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> Backbone:
    config = Qwen3VLConfig(
        text_config=_text(tokenizer, shape)
        | {
            "head_dim": shape.hidden_size // 4,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [shape.hidden_size // 16, *[shape.hidden_size // 32] * 2],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 3,
            "hidden_size": shape.hidden_size,
            "num_heads": 4,
            "intermediate_size": shape.mlp_size,
            "out_hidden_size": shape.hidden_size,
            "patch_size": 7,
            "spatial_merge_size": 2,
            "temporal_patch_size": 1,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    )
    processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56},
        patch_size=7,
        temporal_patch_size=1,
        merge_size=2,
    )
    return Backbone(Qwen3VLForConditionalGeneration(config), tokenizer, processor)


def _llava_onevision(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> Backbone:
    pinpoints = [[28, 28], [28, 56], [56, 28], [56, 56]]
    config = LlavaOnevisionConfig(
        text_config=_text(tokenizer, shape) | {"model_type": "qwen2"},
        vision_config=shape.siglip
        | {"model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
    )
    processor = LlavaOnevisionImageProcessorPil(
        size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints
    )
    return Backbone(LlavaOnevisionForConditionalGeneration(config), tokenizer, processor)


def _smolvlm(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> Backbone:
    config = SmolVLMConfig(
        text_config=_text(tokenizer, shape) | {"model_type": "llama"},
        vision_config=shape.siglip,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    processor = SmolVLMImageProcessorPil(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}
    )
    return Backbone(SmolVLMForConditionalGeneration(config), tokenizer, processor)


def _llama(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> Backbone:
    return Backbone(LlamaForCausalLM(LlamaConfig(**_text(tokenizer, shape))), tokenizer)


def _qwen2(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> Backbone:
    return Backbone(Qwen2ForCausalLM(Qwen2Config(**_text(tokenizer, shape))), tokenizer)


_BUILDERS = {
    "qwen3_vl": _qwen3_vl,
    "llava_onevision": _llava_onevision,
    "smolvlm": _smolvlm,
    "llama": _llama,
    "qwen2": _qwen2,
}
