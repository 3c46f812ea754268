"""`TreeLayout`: where the rows of a batch lie, and in which form each is attended to at least cost.

Rows of one trunk and several branches are laid end to end in one long row of T tokens, so nothing
is padded. Everything but attention works token by token; attention takes the rows in blocks.
Letters: T tokens of all rows, G rows of a block, L tokens of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

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
        cost, block = _cheapest(run[0], len(run), call)
        longest = (small or run)[0].tokens
        if len(run) * longest**2 < cost:
            small += run
            continue
        blocks += [_padded(small), block] if small else [block]
        small = []
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


def _cheapest(shape: RowShape, rows: int, call: float) -> tuple[float, Block]:
    """The cost of rows of one shape, in pairs of this width, and how they are attended to."""
    trunk, branches, total = shape.trunk, shape.branches, shape.tokens
    block = Block(tokens=rows * total, rows=rows)
    if len(branches) == 1:
        return call + rows * total**2 / 2, block
    together = 2 * call + rows * (trunk**2 / 2 + (total - trunk) * total)
    apart = len(branches) * call + rows * sum((trunk + each) ** 2 / 2 for each in branches)
    if apart < together:
        return apart, replace(block, trunk=trunk, apart=branches)
    mask = visible_pairs(_members(shape))[None, None, trunk:]
    return together, replace(block, trunk=trunk, mask=mask)


def _padded(shapes: Sequence[RowShape]) -> Block:
    """Rows of different shapes under one mask, the first being the longest."""
    length = shapes[0].tokens
    members = torch.full((len(shapes), length), -1)
    spread = torch.zeros(len(shapes), length, dtype=torch.long)
    start = 0
    for row, shape in enumerate(shapes):
        members[row, : shape.tokens] = _members(shape)
        spread[row, : shape.tokens] = torch.arange(start, start + shape.tokens)
        start += shape.tokens
    mask = torch.stack([visible_pairs(row) for row in members])[:, None]
    block = Block(tokens=start, rows=len(shapes), mask=mask)
    if all(shape.tokens == length for shape in shapes):
        return block
    return replace(
        block, spread=spread.flatten(), real=(members.flatten() >= 0).nonzero().flatten()
    )


def visible_pairs(members: torch.Tensor) -> torch.Tensor:
    """Who may look at whom [..., L, L]: back, at the trunk or at one's own branch.

    Padding (-1) looks at the trunk, too, so that no softmax is empty; nothing looks at it.
    """
    length = members.shape[-1]
    before = torch.ones(length, length, dtype=torch.bool, device=members.device).tril()
    looked_at = members[..., None, :]
    return ((looked_at == 0) | (looked_at == members[..., :, None])) & before


def _members(shape: RowShape) -> torch.Tensor:
    counts = torch.tensor([shape.trunk, *shape.branches])
    return torch.arange(len(counts)).repeat_interleave(counts)
