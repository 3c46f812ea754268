"""What passes between images and a backbone: pixels in, one block of features per image out.

Both keep images apart, so a picture is processed and encoded once however many rows show it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """One image as its family's vision tower takes it."""

    pixels: torch.Tensor
    """Patches [P, values] or tiles [T, 3, H, W], by family; float32 on the CPU."""
    tokens: int
    """Placeholder tokens it takes up in the prompt."""
    grid: tuple[int, ...] = ()
    """Layout the family needs again: patch grid, tile rows and columns, or original size."""
    alone: bool = True
    """Whether it is its prompt's only image; some families tile only then."""


@dataclass(frozen=True, slots=True)
class VisionFeatures:
    """Encoded images: for each one a block of language-model inputs [tokens, hidden]."""

    tokens: tuple[torch.Tensor, ...]
    deepstack: tuple[tuple[torch.Tensor, ...], ...] = ()
    """By image, then by layer, for families that also feed deeper layers (Qwen3-VL)."""

    def __len__(self) -> int:
        return len(self.tokens)

    def select(self, indices: Sequence[int]) -> VisionFeatures:
        """The features of these images in this order; an image may be taken more than once."""
        return VisionFeatures(
            tuple(self.tokens[index] for index in indices),
            tuple(self.deepstack[index] for index in indices) if self.deepstack else (),
        )

    def apply(self, change: Callable[[torch.Tensor], torch.Tensor]) -> VisionFeatures:
        """Every tensor changed, such as detached or moved."""
        return VisionFeatures(
            tuple(change(block) for block in self.tokens),
            tuple(tuple(change(layer) for layer in image) for image in self.deepstack),
        )


def join_features(parts: Sequence[VisionFeatures]) -> VisionFeatures:
    """The images of all parts, in order."""
    return VisionFeatures(
        tuple(block for part in parts for block in part.tokens),
        tuple(image for part in parts for image in part.deepstack),
    )
