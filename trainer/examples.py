"""`Examples`: items with their tokens and positions, made when first needed and then kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from infra.errors import DataError
from trainer.backbone import Backbone
from trainer.backbone_inputs import ImageInput
from trainer.config import Paradigm
from trainer.data.items import PreferenceItem
from trainer.image_bank import BatchImages, ImageBank
from trainer.prompts import TreePrompt, build_prompts
from trainer.text_cutting import TextCutter, TextLimits
from trainer.tree_batch import Tree, TreeBatch, pack_trees

MOST_KNOWN_TOKENS = 32_000_000
"""Tokens of examples that are kept: with their positions about 1 GB."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One item, tokenized."""

    item: PreferenceItem
    tree: Tree
    response_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ModelBatch:
    """What the model takes: rows, their images, and the examples they came from."""

    examples: tuple[Example, ...]
    rows: TreeBatch
    images: BatchImages


class Examples:
    """The items of a training or of a benchmark, as one paradigm shows them."""

    def __init__(  # noqa: PLR0913 -- all by name
        self,
        items: Sequence[PreferenceItem],
        backbone: Backbone,
        paradigm: Paradigm,
        *,
        critiques: bool,
        frozen_vision: bool,
        chunks: Iterable[Sequence[int]],
        limits: TextLimits | None = None,
    ) -> None:
        self.items = items
        self.images = ImageBank(
            backbone,
            ([items[i] for i in chunk] for chunk in chunks),
            frozen=frozen_vision,
            lasting=isinstance(items, list | tuple),
        )
        self._backbone = backbone
        self._paradigm = paradigm
        self._critiques = critiques
        self._known: dict[int, Example] = {}
        self._known_tokens = 0
        self._cut = TextCutter(backbone, limits) if limits is not None else None
        self._known_positions: dict[tuple[tuple[int, tuple[int, ...], bool], ...], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.items)

    @property
    def encoded_in_model(self) -> bool:
        """Whether a forward pass may have to run the vision tower."""
        return self.images.encoded_in_model

    def take(self, indices: Sequence[int]) -> list[Example]:
        """These items, tokenized.

        Raises:
            DataError: If one does not fit into the backbone's positions; nothing is cut off,
                because a cut response is another response.
        """
        missing = [index for index in dict.fromkeys(indices) if index not in self._known]
        made = dict(zip(missing, self._encode(missing), strict=True)) if missing else {}
        taken = [made.get(index) or self._known[index] for index in indices]
        for index, example in made.items():
            self._known[index] = example
            self._known_tokens += _tokens(example)
        while self._known_tokens > MOST_KNOWN_TOKENS:
            oldest = next(iter(self._known))
            self._known_tokens -= _tokens(self._known.pop(oldest))
        return taken

    @property
    def cut(self) -> dict[str, int]:
        """How many prompts and responses were shortened so far."""
        return {} if self._cut is None else dict(self._cut.counts)

    def batch(self, indices: Sequence[int]) -> ModelBatch:
        """These items as rows of one batch."""
        examples = self.take(indices)
        images = self.images.batch([example.item for example in examples])
        trees = [
            replace(
                example.tree,
                images=tuple(images.index[key] for key in self.images.keys(example.item)),
            )
            for example in examples
        ]
        rows = pack_trees(
            trees,
            pad_token_id=self._backbone.pad_token_id,
            share=self._backbone.shares_prompts,
        )
        return ModelBatch(tuple(examples), rows, images)

    def _encode(self, indices: Sequence[int]) -> list[Example]:
        items = [self.items[index] for index in indices]
        images = [self.images.shapes(item) for item in items]
        shown = items if self._cut is None else self._cut(items)
        prompts = build_prompts(
            shown, images, self._backbone, self._paradigm, critiques=self._critiques
        )
        self._check_lengths(items, prompts)
        return [
            Example(
                item,
                Tree(
                    trunk=np.asarray(prompt.trunk, dtype=np.int64),
                    branches=tuple(np.asarray(b.tokens, dtype=np.int64) for b in prompt.branches),
                    labelled=tuple(branch.labelled for branch in prompt.branches),
                    positions=self._positions(prompt, pictures),
                ),
                prompt.response_tokens,
            )
            for item, prompt, pictures in zip(items, prompts, images, strict=True)
        ]

    def _check_lengths(
        self, items: Sequence[PreferenceItem], prompts: Sequence[TreePrompt]
    ) -> None:
        limit = self._backbone.max_positions
        for item, prompt in zip(items, prompts, strict=True):
            length = len(prompt.trunk) + max(len(branch.tokens) for branch in prompt.branches)
            if limit is not None and length > limit:
                raise DataError(
                    f"item {item.item_id!r} of source {item.source!r} takes {length} tokens, but "
                    f"the backbone reads at most {limit}; set data.max_prompt_tokens or "
                    "data.max_response_tokens, or leave it out of the data"
                )

    def _positions(self, prompt: TreePrompt, images: Sequence[ImageInput]) -> np.ndarray:
        """Positions of the trunk and its longest branch."""
        longest = max((branch.tokens for branch in prompt.branches), key=len)
        length = len(prompt.trunk) + len(longest)
        shapes = tuple((image.tokens, image.grid, image.alone) for image in images)
        known = self._known_positions.get(shapes)
        if known is None or known.shape[1] < length:
            # Images come first and only text follows, so rows with images of the same shapes have
            # the same positions as far as both go: one long row serves them all.
            tail = [self._backbone.eos_token_id] * length
            row = [*prompt.trunk, *longest, *tail]
            known = self._backbone.positions([row], [images]).numpy()[..., 0, :]
            known = known if known.ndim == 2 else known[None]
            self._known_positions[shapes] = known
        return known[:, :length]


def _tokens(example: Example) -> int:
    return len(example.tree.trunk) + sum(len(branch) for branch in example.tree.branches)
