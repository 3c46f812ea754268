"""`TreeBatch`: rows of one trunk and several branches that cannot see one another.

Each branch gets the positions it would have right after the trunk, so its hidden states are those
of the separate row trunk + branch, up to rounding. Rows are either laid end to end in one long row
without padding (`lay_trees`) or put side by side, right-padded (`pad_trees`), for backbones and
caches that need it so. Letters: B rows, L tokens of the longest row, N branches in the order of
their trees, T labelled tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from trainer.trees.tree_layout import RowShape, TreeLayout, lay_out, row_order, visible_pairs

TRUNK = 0
PADDING = -1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tree:
    """One row before padding."""

    trunk: np.ndarray
    """[tokens] ids."""
    branches: tuple[np.ndarray, ...]
    labelled: tuple[int, ...]
    """Of each branch: tokens at its end that are language-model labels."""
    positions: np.ndarray
    """[C, trunk + longest branch], C coordinates: positions of the row trunk + that branch alone.
    The other branches take the same ones, since branches are text."""
    images: tuple[int, ...] = ()
    """Which images of the batch the trunk shows, in order."""

    @property
    def tokens(self) -> int:
        """Length of the row."""
        return self.shape.tokens

    @property
    def shape(self) -> RowShape:
        """Lengths of its parts."""
        return RowShape(len(self.trunk), tuple(len(branch) for branch in self.branches))

    def separate(self) -> list[Tree]:
        """The same branches as rows of their own."""
        return [
            replace(self, branches=(branch,), labelled=(labelled,))
            for branch, labelled in zip(self.branches, self.labelled, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TreeBatch:
    """Rows and where their branches lie; with a `layout`, B is 1 and the one row holds them all."""

    input_ids: torch.Tensor
    """[B, L]."""
    position_ids: torch.Tensor
    """[B, L], or [C, B, L] with multimodal rotary positions."""
    attention_mask: torch.Tensor
    """Boolean [B, 1, L, L], or padding [B, L] when every row has a single branch; with a layout
    an empty one, which no other attention takes by mistake."""
    members: torch.Tensor
    """[B, L]: 0 in the trunk, k in the row's k-th branch, -1 in padding."""
    rows: torch.Tensor
    """[N] row of each branch."""
    ends: torch.Tensor
    """[N] column of its last token."""
    owners: torch.Tensor
    """[B, L]: index among all N branches, N outside any."""
    lengths: torch.Tensor
    """[N] tokens of each branch."""
    label_rows: torch.Tensor
    """[T] row of the token that predicts a label."""
    label_columns: torch.Tensor
    """[T] its column."""
    labels: torch.Tensor
    """[T] the label."""
    label_owners: torch.Tensor
    """[T] branch the label belongs to."""
    placement: tuple[int, ...]
    """Which image of the batch each placeholder block shows, row by row."""
    layout: TreeLayout | None = None
    """Where the rows lie in the one long row."""

    @property
    def num_branches(self) -> int:
        """N."""
        return len(self.rows)

    def to(self, device: torch.device) -> TreeBatch:
        """On a device."""
        moved: dict[str, Any] = {
            field.name: value.to(device)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), torch.Tensor | TreeLayout)
        }
        return replace(self, **moved)


def lay_trees(trees: Sequence[Tree], *, width: int, share: bool = True) -> TreeBatch:
    """Rows end to end, without padding, for backbones whose layers all see everything before them.

    Args:
        trees: One per item.
        width: Of all query heads of the backbone together.
        share: Whether branches share their trunk; else each is a row of its own.
    """
    trees = trees if share else separated(trees)
    order = row_order([tree.shape for tree in trees])
    laid = [trees[index] for index in order]
    starts = np.zeros(len(trees), dtype=np.int64)
    starts[order] = np.cumsum([0, *(tree.tokens for tree in laid)])[:-1]
    batch = _filled(
        trees,
        [(0, int(start)) for start in starts],
        shape=(1, sum(tree.tokens for tree in trees)),
        pad_token_id=0,
    )
    return replace(
        batch,
        layout=lay_out([tree.shape for tree in laid], width=width),
        placement=tuple(image for tree in laid for image in tree.images),
    )


def pad_trees(trees: Sequence[Tree], *, pad_token_id: int, share: bool = True) -> TreeBatch:
    """Rows side by side.

    Args:
        trees: One per item.
        pad_token_id: Fills the rows' ends; never attended to, never pooled.
        share: Whether branches share their trunk; else each is a row of its own, for backbones
            whose attention a mask cannot steer.
    """
    trees = trees if share else separated(trees)
    batch = _filled(
        trees,
        [(row, 0) for row in range(len(trees))],
        shape=(len(trees), max(tree.tokens for tree in trees)),
        pad_token_id=pad_token_id,
    )
    single = all(len(tree.branches) == 1 for tree in trees)
    mask = batch.members != PADDING if single else visible_pairs(batch.members)[:, None]
    return replace(batch, attention_mask=mask)


def separated(trees: Sequence[Tree]) -> list[Tree]:
    """Every branch as a row of its own."""
    return [single for tree in trees for single in tree.separate()]


def _filled(
    trees: Sequence[Tree],
    places: Sequence[tuple[int, int]],
    *,
    shape: tuple[int, int],
    pad_token_id: int,
) -> TreeBatch:
    """A batch with every tree at its row and first column, and nothing said of attention."""
    coordinates = trees[0].positions.shape[0]
    ids = np.full(shape, pad_token_id, dtype=np.int64)
    positions = np.zeros((coordinates, *shape), dtype=np.int64)
    members = np.full(shape, PADDING, dtype=np.int64)
    branches = sum(len(tree.branches) for tree in trees)
    owners = np.full(shape, branches, dtype=np.int64)
    spans: list[tuple[int, int, int]] = []
    labels: list[tuple[np.ndarray, int, int]] = []
    for (row, first), tree in zip(places, trees, strict=True):
        trunk = len(tree.trunk)
        column = first + trunk
        ids[row, first:column] = tree.trunk
        positions[:, row, first:column] = tree.positions[:, :trunk]
        members[row, first:column] = TRUNK
        for index, (branch, labelled) in enumerate(zip(tree.branches, tree.labelled, strict=True)):
            end = column + len(branch)
            ids[row, column:end] = branch
            positions[:, row, column:end] = tree.positions[:, trunk : trunk + len(branch)]
            members[row, column:end] = index + 1
            owners[row, column:end] = len(spans)
            if labelled:
                labels.append((branch[-labelled:], row, end - labelled - 1))
            spans.append((row, end - 1, len(branch)))
            column = end
    span_array = torch.tensor(spans, dtype=torch.long)
    label_rows, label_columns, label_ids = _flat_labels(labels)
    owner_ids = torch.from_numpy(owners)
    return TreeBatch(
        input_ids=torch.from_numpy(ids),
        position_ids=torch.from_numpy(positions if coordinates > 1 else positions[0]),
        attention_mask=torch.ones(1, 1, 1, 0, dtype=torch.bool),
        members=torch.from_numpy(members),
        rows=span_array[:, 0],
        ends=span_array[:, 1],
        owners=owner_ids,
        lengths=span_array[:, 2],
        label_rows=label_rows,
        label_columns=label_columns,
        labels=label_ids,
        label_owners=owner_ids[label_rows, label_columns],
        placement=tuple(image for tree in trees for image in tree.images),
    )


def _flat_labels(
    labels: Sequence[tuple[np.ndarray, int, int]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    if not labels:
        nothing = torch.zeros(0, dtype=torch.long)
        return nothing, nothing, nothing
    rows = np.concatenate([np.full(len(ids), row) for ids, row, _ in labels])
    columns = np.concatenate([np.arange(first, first + len(ids)) for ids, _, first in labels])
    ids = np.concatenate([ids for ids, _, _ in labels])
    return torch.from_numpy(rows), torch.from_numpy(columns), torch.from_numpy(ids)
