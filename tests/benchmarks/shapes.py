"""The tiny Qwen2.5-VL and the made pairs that all contestants train on.

Widths are those of a real model cut down (3.8 million parameters see, 12.4 million read, 32 000
words), so that no part is free. A word is a token, so lengths are what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken, Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLImageProcessorPil,
)

from trainer.data.items import PreferenceItem, Response
from trainer.model.backbone import Backbone
from trainer.pretraining.architectures import spread_weights
from trainer.pretraining.tokenizer import END, PAD, SPECIAL_TOKENS, chat_template

VOCABULARY = 32_000
IMAGE_SIDE = 336
IMAGE_TOKENS = 144


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """Widths and depths of a Qwen2.5-VL."""

    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    rotary: tuple[int, int, int]
    """Frequencies of time, height and width."""

    def cut_to(self, layers: int | None) -> ModelShape:
        """The same with so many language layers."""
        if layers is None:
            return self
        return replace(self, text={**self.text, "num_hidden_layers": layers})


TINY = ModelShape(
    text={
        "vocab_size": VOCABULARY,
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    },
    vision={
        "hidden_size": 256,
        "depth": 4,
        "num_heads": 4,
        "intermediate_size": 352,
        "out_hidden_size": 256,
        "fullatt_block_indexes": [1, 3],
    },
    rotary=(4, 6, 6),
)


@dataclass(frozen=True, slots=True)
class NoiseImage:
    """A picture of nothing, as an `ImageReference`."""

    seed: int

    @property
    def key(self) -> str:
        """Equal seeds mean equal pixels."""
        return f"noise-{self.seed}"

    def load(self) -> Image.Image:
        """Uniform noise."""
        shape = (IMAGE_SIDE, IMAGE_SIDE, 3)
        pixels = np.random.default_rng(self.seed).integers(0, 256, shape, dtype=np.uint8)
        return Image.fromarray(pixels)


def vision_language_model(
    shape: ModelShape = TINY, *, seed: int = 0, device: str = "cpu"
) -> Backbone:
    """A Qwen2.5-VL with random weights; the tiny one unless another shape is asked for."""
    tokenizer = make_tokenizer("qwen2_5_vl")
    processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": IMAGE_SIDE**2, "longest_edge": IMAGE_SIDE**2}
    )
    config = vision_language_config(shape, tokenizer)
    module = _random(lambda: Qwen2_5_VLForConditionalGeneration(config), seed, device)
    return Backbone(module, tokenizer, processor)


def vision_language_config(
    shape: ModelShape, tokenizer: PreTrainedTokenizerFast
) -> Qwen2_5_VLConfig:
    """Of a Qwen2.5-VL of this shape that reads this tokenizer's tokens."""
    rotary = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(shape.rotary)}
    return Qwen2_5_VLConfig(
        text_config=_text(shape, tokenizer) | {"rope_parameters": rotary},
        vision_config=dict(shape.vision),
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
        tie_word_embeddings=shape.text["tie_word_embeddings"],
    )


def language_model(shape: ModelShape = TINY, *, seed: int = 0, device: str = "cpu") -> Backbone:
    """The same language model without eyes."""
    tokenizer = make_tokenizer("qwen2")
    config = Qwen2Config(**_text(shape, tokenizer))
    return Backbone(_random(lambda: Qwen2ForCausalLM(config), seed, device), tokenizer)


def _random(build: Callable[[], Any], seed: int, device: str) -> Any:  # noqa: ANN401 -- a model
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(seed)
        module = build()
        spread_weights(module)
    module.set_attn_implementation("sdpa")
    return module.eval()


def make_items(
    backbone: Backbone,
    *,
    prompts: Sequence[int],
    responses: Sequence[tuple[int, int]],
    pairs_per_image: int | None,
    seed: int = 0,
) -> list[PreferenceItem]:
    """Pairs with these lengths in tokens.

    Args:
        backbone: Whose frame around a prompt is counted in.
        prompts: Of each pair: tokens before the response, those of the image excluded.
        responses: Of each pair: tokens of both responses, the end of text included.
        pairs_per_image: How many pairs ask about the same picture; none shows no picture.
        seed: Of the words.
    """
    rng = np.random.default_rng(seed)
    frame = len(backbone.prompt_ids(""))
    frame += 0 if pairs_per_image is None else 2  # what stands around the picture

    def words(count: int) -> str:
        return " ".join(f"w{number}" for number in rng.integers(0, VOCABULARY - 64, max(1, count)))

    items = []
    for index, (prompt, lengths) in enumerate(zip(prompts, responses, strict=True)):
        picture = None if pairs_per_image is None else NoiseImage(index // pairs_per_image)
        items.append(
            PreferenceItem(
                item_id=str(index),
                group_id=str(index),
                prompt=words(prompt - frame),
                responses=tuple(
                    Response(text=words(length - 1), rank=rank + 1)
                    for rank, length in enumerate(lengths)
                ),
                images=() if picture is None else (picture,),
                source="made",
            )
        )
    return items


def _text(shape: ModelShape, tokenizer: PreTrainedTokenizerFast) -> dict[str, object]:
    return {
        **shape.text,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }


def make_tokenizer(model_type: str) -> PreTrainedTokenizerFast:
    """A word a token, `VOCABULARY` of them."""
    words = [*SPECIAL_TOKENS, "[UNK]", "user", "assistant"]
    words += [f"w{number}" for number in range(VOCABULARY - len(words))]
    model = WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token="[UNK]",
        chat_template=chat_template(model_type),
        clean_up_tokenization_spaces=False,
    )
