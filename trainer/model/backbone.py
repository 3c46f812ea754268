"""`Backbone`: one way to feed and read every supported model; each image is encoded exactly once.

Rows of token ids go in with an explicit mask and explicit positions, hidden states come out; the
language head runs only when asked. With a tree mask several responses hang off one prompt and get
the hidden states they would get alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    BaseImageProcessor,
    Cache,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from infra.errors import BackboneError
from trainer.catalog import backbone_location
from trainer.config import BackboneConfig
from trainer.model.backbone_families import FAMILIES, Family
from trainer.model.backbone_inputs import ImageInput, VisionFeatures
from trainer.prompting.prompt_frames import PromptFrames
from trainer.trees.tree_attention import NAME as TREE_ATTENTION
from trainer.trees.tree_layout import TreeLayout

# A bar for the few files of a model is noise in the logs of a trial and on a user's terminal.
transformers_logging.disable_progress_bar()


class Backbone:
    """A model, its tokenizer and its image processing."""

    def __init__(
        self,
        module: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: BaseImageProcessor | None = None,
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        family = FAMILIES.get(module.config.model_type)
        self._family: Family | None = None
        if family is not None and image_processor is not None:
            self._family = family(module, tokenizer, image_processor)
        self._frames = PromptFrames(tokenizer, self._family)
        text = module.config.get_text_config()
        self.hidden_size = int(text.hidden_size)
        self.vocabulary_size = int(module.get_input_embeddings().num_embeddings)
        self.eos_token_id = int(tokenizer.eos_token_id)
        pad = tokenizer.pad_token_id
        self.pad_token_id = self.eos_token_id if pad is None else int(pad)
        self.max_positions: int | None = getattr(text, "max_position_embeddings", None)
        self.shares_prompts = module._supports_attention_backend and _sees_whole_rows(text)
        """Whether a tree mask is exact: attention takes one, and no sliding or recurrent layer
        looks past it."""
        self.attention_width = int(text.num_attention_heads) * int(
            getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        )
        """Of all query heads of the language model together."""

    @property
    def takes_images(self) -> bool:
        """Whether prompts may hold images."""
        return self._family is not None

    def encode_text(self, text: str) -> list[int]:
        """Token ids; text that spells a special token stays text."""
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return list(encoded["input_ids"])

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of many texts; one call of the tokenizer is far cheaper than one per text."""
        if not texts:
            return []
        encoded = self.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)
        return [list(ids) for ids in encoded["input_ids"]]

    def image_inputs(self, images: Sequence[Image.Image]) -> list[ImageInput]:
        """The images of one prompt, processed; some families tile an image only when alone."""
        family = self._vision()
        return [family.process(image, alone=len(images) == 1) for image in images]

    def image_tokens(self, image: Image.Image) -> ImageInput:
        """A prompt's only image, processed."""
        return self.image_inputs([image])[0]

    def blank_image(self) -> ImageInput:
        """The smallest image: lets a rank whose batch has none run its vision tower too."""
        return self.image_tokens(Image.new("RGB", (56, 56)))

    def prompt_ids(self, prompt: str, images: Sequence[ImageInput] = ()) -> list[int]:
        """One user turn, images first, up to where the answer starts: the trunk of a tree."""
        return self.prompts_ids([prompt], [images])[0]

    def prompts_ids(
        self, prompts: Sequence[str], images: Sequence[Sequence[ImageInput]]
    ) -> list[list[int]]:
        """`prompt_ids` of many prompts and their images."""
        frames = [self._frames.around(shown) for shown in images]
        texts = [frame.space + prompt for frame, prompt in zip(frames, prompts, strict=True)]
        encoded = self.encode_texts(texts)
        return [
            [*frame.before, *ids, *frame.after] for frame, ids in zip(frames, encoded, strict=True)
        ]

    def feature_bytes(self, tokens: int) -> int:
        """What the features of an image of so many tokens take, in float32."""
        return 4 * tokens * self.hidden_size * self._vision().feature_layers

    def vision_features(self, images: Sequence[ImageInput]) -> VisionFeatures:
        """Encodes every image once; gradients reach the vision tower unless it is frozen."""
        return self._vision().encode(images)

    def positions(
        self, rows: Sequence[Sequence[int]], images: Sequence[Sequence[ImageInput]] | None = None
    ) -> torch.Tensor:
        """Position ids of whole, unshared rows, right-padded with zeros.

        Args:
            rows: Token ids, prompt and response together.
            images: Those shown in each row, in order.

        Returns:
            [B, L], or [3, B, L] for models with multimodal rotary positions.
        """
        length = max(len(row) for row in rows)
        padded = [[*row, *[self.pad_token_id] * (length - len(row))] for row in rows]
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        input_ids = torch.tensor(padded)
        if self._family is None:
            return torch.arange(length).expand_as(input_ids) * mask
        shown = [image for row in images or () for image in row]
        return self._family.positions(input_ids, mask, shown)

    def hidden_states(  # noqa: PLR0913 -- all by name
        self,
        *,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor,
        features: VisionFeatures | None = None,
        placement: Sequence[int] | None = None,
        layout: TreeLayout | None = None,
        cache: Cache | None = None,
    ) -> torch.Tensor:
        """Last hidden states, normalised, as the language head takes them.

        Args:
            input_ids: [B, L].
            attention_mask: Boolean [B, 1, L, L], True where a token may look; or padding [B, L].
            position_ids: As `positions` gives them, rearranged with the tokens.
            features: Encoded images.
            placement: Which of them each placeholder block of the batch shows, row by row; all in
                order when absent.
            layout: Where rows lie that are laid end to end; then B is 1 and the mask is not read.
            cache: Keys and values of earlier tokens, which the mask's last dimension then covers
                too; those of these tokens are added to it.

        Returns:
            [B, L, hidden_size].
        """
        extra: dict[str, Any] = {}
        if features is not None and placement is not None:
            features = features.select(placement)
        if features:
            extra["mm_encoder_outputs"] = {"image": self._vision().encoder_outputs(features)}
        if layout is not None:
            self._attend_to_trees()
            extra["tree_layout"] = layout
        output = self.module.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=cache is not None,
            **extra,
        )
        return torch.as_tensor(output[0])

    def language_head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [..., vocabulary_size] of hidden states [..., hidden_size]."""
        return torch.as_tensor(self.module.get_output_embeddings()(hidden))

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Every parameter once: `vision`, `projector` and `language_model`, for freezing."""
        parts: dict[str, list[nn.Parameter]] = {"vision": [], "projector": [], "language_model": []}
        prefix = f"{self.module.base_model_prefix}."
        for name, parameter in self.module.named_parameters():
            parts[self._part(name.removeprefix(prefix))].append(parameter)
        return parts

    def save(self, folder: Path, *, state: dict[str, torch.Tensor] | None = None) -> None:
        """Weights (safetensors), config, tokenizer and image processor, for the Auto classes.

        Args:
            folder: Where to.
            state: Weights to save instead of the module's own.
        """
        self.module.save_pretrained(folder, state_dict=state)
        self.tokenizer.save_pretrained(folder)
        if self.image_processor is not None:
            self.image_processor.save_pretrained(folder)

    def _attend_to_trees(self) -> None:
        config = self.module.config
        text = config.get_text_config()
        if text._attn_implementation != TREE_ATTENTION:
            self.module.set_attn_implementation(
                TREE_ATTENTION if text is config else {"text_config": TREE_ATTENTION}
            )

    def _part(self, name: str) -> str:
        family = self._family
        if family is not None and name.startswith(family.projector_prefixes):
            return "projector"
        if family is not None and name.startswith(family.vision_prefixes):
            return "vision"
        return "language_model"

    def _vision(self) -> Family:
        if self._family is None:
            raise BackboneError(
                f"this backbone ({self.module.config.model_type}) takes text only, but the prompt "
                f"has an image; use a vision-language backbone or text-only data"
            )
        return self._family


def _sees_whole_rows(text: PreTrainedConfig) -> bool:
    """Whether every layer of a language model looks at everything before a token."""
    kinds = getattr(text, "layer_types", None)
    if kinds:
        return set(kinds) == {"full_attention"}
    # Mistral, Mixtral, Phi-3 and Starcoder 2 have one kind of layer, which they do not name.
    window = getattr(text, "sliding_window", None)
    longest = getattr(text, "max_position_embeddings", None) or math.inf
    return window is None or bool(window >= longest)


def load_backbone(config: BackboneConfig, *, models: Path | None = None) -> Backbone:
    """The backbone a config names, in evaluation mode and float32.

    Args:
        config: Family and scale of the catalog, or a path.
        models: Folder with local copies of hub models.

    Raises:
        BackboneError: Unknown name, or no model where one should be.
    """
    return read_backbone(backbone_location(config, models=models))


def read_backbone(folder: str | Path) -> Backbone:
    """A backbone from a folder (or hub id) of any supported architecture.

    Raises:
        BackboneError: If it holds no model, or one that cannot be loaded.
    """
    try:
        return _loaded(folder)
    except (MemoryError, BackboneError):
        raise
    # A broken file raises what its reader likes: safetensors, jinja and tokenizers have errors of
    # their own, and tokenizers raises `Exception` itself.
    except Exception as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        reason = str(error).partition("\n")[0]
        raise BackboneError(
            f"expected a model at {folder}, but it could not be loaded; is every file of it there "
            f"and whole? {type(error).__name__}: {reason}"
        ) from error


def _loaded(folder: str | Path) -> Backbone:
    config = AutoConfig.from_pretrained(folder)
    with_images = config.model_type in FAMILIES
    model_class = AutoModelForImageTextToText if with_images else AutoModelForCausalLM
    module = model_class.from_pretrained(
        folder, config=config, dtype=torch.float32, attn_implementation="sdpa"
    )
    # The PIL processors everywhere, so that pixels do not depend on what else is installed.
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil") if with_images else None
    return Backbone(module.eval(), AutoTokenizer.from_pretrained(folder), processor)
