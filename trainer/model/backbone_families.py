"""How each model family takes images: processing, prompt layout, vision encoding, positions.

Everything a family does differently is here; `trainer.model.backbone` asks nobody which it holds.
Placeholders are expanded here and images go through PIL-only processors, because the vendors'
processor classes need torchvision and would process a pair's shared image twice.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from PIL.Image import Image
from transformers import BaseImageProcessor, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string
from typing_extensions import override

from trainer.model.backbone_inputs import ImageInput, VisionFeatures


class Family(ABC):
    """One architecture's ways; holds the module, its tokenizer and its image processor."""

    vision_prefixes: ClassVar[tuple[str, ...]]
    """Parameter names, inside the base model, of the vision tower."""
    projector_prefixes: ClassVar[tuple[str, ...]]
    """Of what maps vision features into the language model; wins over `vision_prefixes`."""

    def __init__(
        self,
        module: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        image_processor: BaseImageProcessor,
    ) -> None:
        self.base = module.base_model
        self.config = module.config
        self.tokenizer = tokenizer
        self.image_processor = image_processor

    @property
    def placeholder(self) -> str:
        """The token that stands for an image, as the chat template writes it."""
        return str(self.tokenizer.convert_ids_to_tokens(self.config.image_token_id))

    @property
    def feature_layers(self) -> int:
        """Blocks of features an image has: one, and one for each deeper layer that is fed too."""
        return 1 + len(getattr(self.config.vision_config, "deepstack_visual_indexes", ()))

    @abstractmethod
    def process(self, image: Image, *, alone: bool) -> ImageInput:
        """One image, resized, tiled and normalised."""

    def expansion(self, image: ImageInput) -> str:
        """What replaces the placeholder of this image in the rendered prompt."""
        return self.placeholder * image.tokens

    @abstractmethod
    def encode(self, images: Sequence[ImageInput]) -> VisionFeatures:
        """Vision tower and projector, in one batch where the family allows."""

    def encoder_outputs(self, features: VisionFeatures) -> BaseModelOutputWithPooling:
        """The features in the shape the model's forward takes as `mm_encoder_outputs`."""
        return BaseModelOutputWithPooling(pooler_output=list(features.tokens))

    def positions(
        self, input_ids: torch.Tensor, mask: torch.Tensor, images: Sequence[ImageInput]
    ) -> torch.Tensor:
        """Position ids of right-padded rows [B, L] -> [B, L], or [3, B, L] with M-RoPE."""
        del images
        return torch.arange(input_ids.shape[1]).expand_as(input_ids) * mask

    def device(self) -> torch.device:
        """Where the module lives."""
        device: torch.device = next(self.base.parameters()).device
        return device


class QwenVL(Family):
    """Qwen2-VL, Qwen2.5-VL and Qwen3-VL: patches in native resolution, M-RoPE, deepstack."""

    vision_prefixes = ("visual.",)
    projector_prefixes = ("visual.merger.", "visual.deepstack_merger_list.")

    @override
    def process(self, image: Image, *, alone: bool) -> ImageInput:
        processed = self.image_processor(images=[image], return_tensors="pt")
        grid = tuple(int(side) for side in processed["image_grid_thw"][0])
        tokens = math.prod(grid) // self.config.vision_config.spatial_merge_size**2
        return ImageInput(pixels=processed["pixel_values"], tokens=tokens, grid=grid, alone=alone)

    @override
    def encode(self, images: Sequence[ImageInput]) -> VisionFeatures:
        device = self.device()
        output = self.base.get_image_features(
            torch.cat([image.pixels for image in images]).to(device),
            torch.tensor([image.grid for image in images], device=device),
            return_dict=True,
        )
        layers = getattr(output, "deepstack_features", None) or ()
        return VisionFeatures(tuple(output.pooler_output), tuple(zip(*layers, strict=True)))

    @override
    def encoder_outputs(self, features: VisionFeatures) -> BaseModelOutputWithPooling:
        tokens = list(features.tokens)
        if not features.deepstack:
            return BaseModelOutputWithPooling(pooler_output=tokens)
        layers = [list(layer) for layer in zip(*features.deepstack, strict=True)]
        return BaseModelOutputWithDeepstackFeatures(pooler_output=tokens, deepstack_features=layers)

    @override
    def positions(
        self, input_ids: torch.Tensor, mask: torch.Tensor, images: Sequence[ImageInput]
    ) -> torch.Tensor:
        # Without mm_token_type_ids the model falls back to 1-D positions and says nothing.
        positions, _ = self.base.get_rope_index(
            input_ids,
            mm_token_type_ids=(input_ids == self.config.image_token_id).int(),
            image_grid_thw=torch.tensor([image.grid for image in images]) if images else None,
            attention_mask=mask,
        )
        return torch.as_tensor(positions)


class InternVL(Family):
    """InternVL: square tiles, pixel shuffle, projector."""

    vision_prefixes = ("vision_tower.",)
    projector_prefixes = ("multi_modal_projector.",)

    @override
    def process(self, image: Image, *, alone: bool) -> ImageInput:
        # The vendor's processor tiles whatever the saved setting says; max_patches=1 turns it off.
        processed = self.image_processor(images=[image], crop_to_patches=True, return_tensors="pt")
        pixels = processed["pixel_values"]
        tokens = len(pixels) * self.config.image_seq_length
        return ImageInput(pixels=pixels, tokens=tokens, grid=(len(pixels),), alone=alone)

    @override
    def expansion(self, image: ImageInput) -> str:
        return f"<img>{self.placeholder * image.tokens}</img>"

    @override
    def encode(self, images: Sequence[ImageInput]) -> VisionFeatures:
        pixels = torch.cat([image.pixels for image in images]).to(self.device())
        output = self.base.get_image_features(pixel_values=pixels, return_dict=True)
        blocks = output.pooler_output.flatten(0, 1)
        return VisionFeatures(torch.split(blocks, [image.tokens for image in images]))

    @override
    def encoder_outputs(self, features: VisionFeatures) -> BaseModelOutputWithPooling:
        # [1, tokens, hidden]: the model reads shape[0] * shape[1] before it scatters.
        return BaseModelOutputWithPooling(pooler_output=torch.cat(features.tokens)[None])


class LlavaOnevision(Family):
    """LLaVA-OneVision: any-resolution tiles around a base view, for prompts with one image."""

    vision_prefixes = ("vision_tower.",)
    projector_prefixes = ("multi_modal_projector.", "image_newline")

    @override
    def process(self, image: Image, *, alone: bool) -> ImageInput:
        processed = self.image_processor(images=[image], return_tensors="pt")
        tiles = processed["pixel_values"][0]
        height, width = (int(side) for side in processed["image_sizes"][0])
        pixels = tiles if alone else tiles[:1]
        side = self.config.vision_config.image_size // self.config.vision_config.patch_size
        # The model's own packing, run on one dummy channel, knows how many tokens remain.
        _, lengths = self.base.pack_image_features(
            [torch.zeros(len(pixels), side * side, 1)],
            torch.tensor([[height, width]]),
            image_newline=torch.zeros(1),
            vision_aspect_ratio=self.config.vision_aspect_ratio,
        )
        return ImageInput(pixels=pixels, tokens=int(lengths[0]), grid=(height, width), alone=alone)

    @override
    def encode(self, images: Sequence[ImageInput]) -> VisionFeatures:
        blocks: dict[int, torch.Tensor] = {}
        for alone in (True, False):
            group = [index for index, image in enumerate(images) if image.alone is alone]
            if group:
                blocks.update(zip(group, self._encode([images[i] for i in group]), strict=True))
        return VisionFeatures(tuple(blocks[index] for index in range(len(images))))

    def _encode(self, images: Sequence[ImageInput]) -> Sequence[torch.Tensor]:
        device = self.device()
        # The model tiles images whose prompt holds exactly one, so it is told of at least two.
        siblings = [1] * len(images) if images[0].alone else [max(2, len(images))]
        output = self.base.get_image_features(
            torch.cat([image.pixels for image in images]).to(device, self.base.dtype),
            torch.tensor([image.grid for image in images], device=device),
            batch_num_images=siblings,
            return_dict=True,
        )
        return tuple(output.pooler_output)


class SmolVLM(Family):
    """SmolVLM: rows and columns of tiles and one global view, each announced by a token."""

    vision_prefixes = ("vision_model.",)
    projector_prefixes = ("connector.",)

    @override
    def process(self, image: Image, *, alone: bool) -> ImageInput:
        processed = self.image_processor(
            images=[[image]], return_row_col_info=True, return_tensors="pt"
        )
        tiles = processed["pixel_values"][0]
        grid = (int(processed["rows"][0][0]), int(processed["cols"][0][0]))
        tokens = len(tiles) * self.base.image_seq_len
        return ImageInput(pixels=tiles, tokens=tokens, grid=grid, alone=alone)

    @override
    def expansion(self, image: ImageInput) -> str:
        rows, columns = image.grid
        return str(
            get_image_prompt_string(
                rows,
                columns,
                self.base.image_seq_len,
                fake_token_around_image="<fake_token_around_image>",
                image_token=self.placeholder,
                global_image_token="<global-img>",
            )
        )

    @override
    def encode(self, images: Sequence[ImageInput]) -> VisionFeatures:
        pixels = torch.cat([image.pixels for image in images])[None].to(self.device())
        output = self.base.get_image_features(pixels, return_dict=True)
        blocks = torch.cat(list(output.pooler_output))
        return VisionFeatures(torch.split(blocks, [image.tokens for image in images]))


FAMILIES: dict[str, type[Family]] = {
    "qwen2_vl": QwenVL,
    "qwen2_5_vl": QwenVL,
    "qwen3_vl": QwenVL,
    "internvl": InternVL,
    "llava_onevision": LlavaOnevision,
    "smolvlm": SmolVLM,
}
"""By the `model_type` of the model's config.json; everything else is a text-only model."""
