"""`TreeLayout`: where the rows of a batch lie, and in which form each is attended to at least cost.

Rows of one trunk and several branches are laid end to end in one long row of T tokens, so nothing
is padded. Everything but attention works token by token; attention takes the rows in blocks.
Letters: T tokens of all rows, G rows of a block, L tokens of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch.nn.utils.rnn import pad_sequence

CALL_COST = 200_000
"""What one call of the kernel costs beside its work, in query-key pairs of width 1: about 120 us
forward and backward on one core, where a pair of width 256 takes 150 ns."""


@dataclass(frozen=True, slots=True)
class RowShape:
    """Tokens of a row's trunk and of each branch."""

    trunk: int
    branches: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Of the whole row."""
        return self.trunk + sum(self.branches)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Block:
    """Rows that follow one another and are attended to in the same calls.

    Rows of one shape take the cheapest of three forms: one causal row (a single branch); the trunk
    causal and all branches under a mask (`mask` over the last columns); or a causal row for every
    branch with the trunk before it (`apart`). Rows of different shapes are padded under one mask.
    """

    tokens: int
    rows: int
    trunk: int = 0
    """Columns that are causal on their own, before those the mask is for."""
    apart: tuple[int, ...] = ()
    """Lengths of branches that are attended to one by one."""
    mask: torch.Tensor | None = None
    """[1 or G, 1, L - trunk, L]; causal when there is none."""
    spread: torch.Tensor | None = None
    """[G * L] token of every padded place."""
    real: torch.Tensor | None = None
    """[tokens] places that are no padding."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TreeLayout:
    """Where the rows of a batch lie and how they are attended to."""

    blocks: tuple[Block, ...]
    rows: torch.Tensor
    """[T] which row a token belongs to."""
    members: torch.Tensor
    """[T] 0 in the trunk, k in the row's k-th branch."""

    def to(self, device: torch.device) -> TreeLayout:
        """On a device."""

        def moved(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        blocks = [
            replace(
                block, mask=moved(block.mask), spread=moved(block.spread), real=moved(block.real)
            )
            for block in self.blocks
        ]
        return TreeLayout(
            blocks=tuple(blocks), rows=self.rows.to(device), members=self.members.to(device)
        )


def row_order(shapes: Sequence[RowShape]) -> list[int]:
    """The order rows are laid in: long ones first, rows of one shape side by side."""
    return sorted(
        range(len(shapes)),
        key=lambda row: (-shapes[row].tokens, shapes[row].trunk, shapes[row].branches, row),
    )


def lay_out(shapes: Sequence[RowShape], *, width: int) -> TreeLayout:
    """How rows in the order of `row_order` are attended to.

    Args:
        shapes: Of the rows.
        width: Of all query heads together; the wider they are, the less a call matters.
    """
    call = CALL_COST / width
    blocks: list[Block] = []
    small: list[RowShape] = []
    for run in _runs(shapes):
        cost, apart = _cheapest(run[0], len(run), call)
        longest = (small or run)[0].tokens
        if len(run) * longest**2 < cost:
            small += run
            continue
        if small:
            blocks.append(_padded(small))
            small = []
        blocks.append(_alike(run[0], len(run), apart=apart))
    if small:
        blocks.append(_padded(small))
    counts = [shape.tokens for shape in shapes]
    return TreeLayout(
        blocks=tuple(blocks),
        rows=torch.arange(len(shapes)).repeat_interleave(torch.tensor(counts)),
        members=torch.cat([_members(shape) for shape in shapes]),
    )


def _runs(shapes: Sequence[RowShape]) -> Iterator[list[RowShape]]:
    """Rows of one shape that follow one another."""
    run: list[RowShape] = []
    for shape in shapes:
        if run and shape != run[0]:
            yield run
            run = []
        run.append(shape)
    if run:
        yield run


def _cheapest(shape: RowShape, rows: int, call: float) -> tuple[float, bool]:
    """The cost of rows of one shape, in pairs of this width, and whether branches go one by one."""
    trunk, branches, total = shape.trunk, shape.branches, shape.tokens
    if len(branches) == 1:
        return call + rows * total**2 / 2, False
    together = 2 * call + rows * (trunk**2 / 2 + (total - trunk) * total)
    apart = len(branches) * call + rows * sum((trunk + each) ** 2 / 2 for each in branches)
    return min(together, apart), apart < together


def _alike(shape: RowShape, rows: int, *, apart: bool) -> Block:
    """Rows of one shape."""
    block = Block(tokens=rows * shape.tokens, rows=rows)
    if len(shape.branches) == 1:
        return block
    if apart:
        return replace(block, trunk=shape.trunk, apart=shape.branches)
    return replace(block, trunk=shape.trunk, mask=_branch_mask(shape))


def _padded(shapes: Sequence[RowShape]) -> Block:
    """Rows of different shapes under one mask, the first being the longest."""
    members = pad_sequence([_members(shape) for shape in shapes], True, -1)
    real = members >= 0
    tokens = sum(shape.tokens for shape in shapes)
    block = Block(tokens=tokens, rows=len(shapes), mask=visible_pairs(members)[:, None])
    if tokens == members.numel():
        return block
    spread = torch.zeros_like(members)
    spread[real] = torch.arange(tokens)
    return replace(block, spread=spread.flatten(), real=real.flatten().nonzero().flatten())


def visible_pairs(members: torch.Tensor) -> torch.Tensor:
    """Who may look at whom [..., L, L]: back, at the trunk or at one's own branch.

    Padding (-1) looks at the trunk, too, so that no softmax is empty; nothing looks at it.
    """
    length = members.shape[-1]
    before = torch.ones(length, length, dtype=torch.bool, device=members.device).tril()
    looked_at = members[..., None, :]
    return ((looked_at == 0) | (looked_at == members[..., :, None])) & before


# Shapes come again and again, in a step and from one step to the next. Nobody writes into these.
@lru_cache(maxsize=4096)
def _members(shape: RowShape) -> torch.Tensor:
    counts = torch.tensor([shape.trunk, *shape.branches])
    return torch.arange(len(counts)).repeat_interleave(counts)


@lru_cache(maxsize=256)
def _branch_mask(shape: RowShape) -> torch.Tensor:
    return visible_pairs(_members(shape))[None, None, shape.trunk :]
