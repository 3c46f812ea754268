"""`Examples`: items with their tokens and positions, made when first needed and then kept.

`prepare` does what needs no weights (images decoded, texts tokenized), so that a thread can do it
for the next batch while this one is computed; `batch` puts rows together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from infra.errors import DataError
from trainer.config import Paradigm, SharePrompts
from trainer.data.items import PreferenceItem
from trainer.head_config import JudgeConfig
from trainer.model.backbone import Backbone
from trainer.model.image_bank import BatchImages, ImageBank
from trainer.prompting.positions import PromptPositions
from trainer.prompting.prompts import TreePrompt, build_prompts
from trainer.prompting.text_cutting import Shortened, TextCutter, TextLimits
from trainer.trees.tree_batch import Tree, TreeBatch, lay_trees, pad_trees

CHECKED_AT_ONCE = 64
"""Items tokenized together to see whether they fit."""

MOST_KNOWN_TOKENS = 32_000_000
"""Tokens of examples that are kept: with their positions about 1 GB."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One item and how long its parts are."""

    item: PreferenceItem
    prompt_tokens: int
    response_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a batch one item takes."""

    rows: int
    """Into which it is laid."""
    longest: int
    """Tokens of the longest of them."""
    tokens: int
    """Of all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedExample(Example):
    """One item, tokenized."""

    tree: Tree


@dataclass(frozen=True, slots=True, eq=False)
class ModelBatch:
    """What the model takes: rows, their images, and the examples they came from."""

    examples: tuple[TokenizedExample, ...]
    rows: TreeBatch
    images: BatchImages


@dataclass(frozen=True, slots=True, eq=False)
class PooledBatch:
    """What is left for the model when the states its head reads are known."""

    examples: tuple[Example, ...]
    pooled: torch.Tensor
    """[N, H] by branch."""


Batch = ModelBatch | PooledBatch


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KnownStates:
    """Of every branch of some items, in order: its pooled state and its token counts."""

    pooled: torch.Tensor
    """[N, H]."""
    prompt_tokens: list[int]
    response_tokens: list[int]
    starts: list[int]
    """Of each item: its first branch; and the end."""

    def tokens(self, index: int) -> int:
        """Of an item's prompt and its responses."""
        first, end = self.starts[index], self.starts[index + 1]
        return self.prompt_tokens[first] + sum(self.response_tokens[first:end])


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
        share_prompts: SharePrompts = "auto",
        limits: TextLimits | None = None,
        judge: JudgeConfig | None = None,
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
        self._judge = judge
        self._known_tokens = 0
        self._cut = TextCutter(backbone, limits) if limits is not None else None
        self.shortened = Shortened(len(items) if limits is not None else 0)
        # What is written grows over a cache, and a cache takes rows side by side.
        self._share = share_prompts != "never"
        judges = paradigm == "generative" and judge is not None and judge.writes
        self._padded = (judges or paradigm == "critic") and not critiques
        self._known: dict[int, TokenizedExample] = {}
        self._states: KnownStates | None = None
        self._positions = PromptPositions(backbone)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def encoded_in_model(self) -> bool:
        """Whether a forward pass may have to run the vision tower."""
        return self._states is None and self.images.encoded_in_model

    @property
    def padded(self) -> bool:
        """Whether rows of a batch are padded to the longest of them."""
        return self._padded or not self._backbone.shares_prompts

    def know(self, states: KnownStates) -> None:
        """From now on batches hold these states instead of rows."""
        self._states = states

    def prepare(self, indices: Sequence[int]) -> None:
        """What `batch` of these items needs and no weights are needed for."""
        if self._states is None:
            self.take(indices)
            if self.images.encoded_in_model:
                for index in indices:
                    self.images.inputs(self.items[index])

    def take(self, indices: Sequence[int]) -> list[TokenizedExample]:
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
            self._known_tokens += example.tree.tokens
        while self._known_tokens > MOST_KNOWN_TOKENS:
            oldest = next(iter(self._known))
            self._known_tokens -= self._known.pop(oldest).tree.tokens
        return taken

    def check_lengths(self, indices: Iterable[int]) -> None:
        """Refuse now what would be refused when its batch is due, maybe at the end of a training.

        No tokenizer makes more tokens than bytes, so that short texts need no look; images and
        frame are given half of the backbone's positions.

        Raises:
            DataError: As `take`.
        """
        limit = self._backbone.max_positions
        if limit is None or self._states is not None:
            return
        long = (index for index in indices if _bytes(self.items[index]) > limit // 2)
        while some := list(islice(long, CHECKED_AT_ONCE)):
            self.take(some)

    def extents(self, indices: Sequence[int]) -> list[Extent]:
        """How much of a batch each of these items takes; tokenizes those that are not yet."""
        if self._states is not None:
            lengths = [self._states.tokens(index) for index in indices]
            return [Extent(rows=1, longest=length, tokens=length) for length in lengths]
        extents = []
        for example in self.take(indices):
            trees = [example.tree] if self._shares_trunks else example.tree.separate()
            lengths = [tree.tokens for tree in trees]
            extents.append(Extent(rows=len(trees), longest=max(lengths), tokens=sum(lengths)))
        return extents

    def model_batch(self, indices: Sequence[int]) -> Batch:
        """These items as the model takes them."""
        return self.batch(indices) if self._states is None else self._pooled(indices)

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
        return ModelBatch(tuple(examples), self._rows(trees), images)

    def _rows(self, trees: Sequence[Tree]) -> TreeBatch:
        backbone = self._backbone
        if not self.padded:
            return lay_trees(trees, width=backbone.attention_width, share=self._shares_trunks)
        return pad_trees(trees, pad_token_id=backbone.pad_token_id, share=self._shares_trunks)

    @property
    def _shares_trunks(self) -> bool:
        """Whether branches of an item hang off one trunk; else each is a row of its own."""
        return self._backbone.shares_prompts and (self._share or self._padded)

    def _pooled(self, indices: Sequence[int]) -> PooledBatch:
        states = self._states
        assert states is not None
        spans = [range(states.starts[index], states.starts[index + 1]) for index in indices]
        examples = tuple(
            Example(
                item=self.items[index],
                prompt_tokens=states.prompt_tokens[span[0]],
                response_tokens=tuple(states.response_tokens[branch] for branch in span),
            )
            for index, span in zip(indices, spans, strict=True)
        )
        branches = [branch for span in spans for branch in span]
        return PooledBatch(examples, states.pooled[branches])

    def _encode(self, indices: Sequence[int]) -> list[TokenizedExample]:
        items = [self.items[index] for index in indices]
        images = [self.images.shapes(item) for item in items]
        shown = items if self._cut is None else self._cut(items)
        self.shortened.note(indices, items, shown)
        prompts = build_prompts(
            shown,
            images,
            self._backbone,
            self._paradigm,
            critiques=self._critiques,
            judge=self._judge,
        )
        self._check_lengths(items, prompts)
        return [
            TokenizedExample(
                item=item,
                prompt_tokens=len(prompt.trunk),
                response_tokens=prompt.response_tokens,
                tree=Tree(
                    trunk=np.asarray(prompt.trunk, dtype=np.int64),
                    branches=tuple(np.asarray(b.tokens, dtype=np.int64) for b in prompt.branches),
                    labelled=tuple(branch.labelled for branch in prompt.branches),
                    positions=self._positions.of(prompt, pictures),
                ),
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


def _bytes(item: PreferenceItem) -> int:
    """Of its prompt, all its responses and what is said of them."""
    return len("".join((item.prompt, *(r.text + r.critique for r in item.responses))).encode())
