"""Micro batches by tokens: as many items at once as a budget of tokens holds.

What is cut is one rank's share of a step, so neither the items of a step nor their order depend on
the budget; sums are weighed over the whole step, so neither does its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainer.prompting.examples import Extent


def token_batches(
    indices: Sequence[int], extents: Sequence[Extent], *, budget: int, padded: bool
) -> list[list[int]]:
    """As few batches as first-fit finds, the longest items first.

    Args:
        indices: A rank's items of one step; where a pass over the data ends in it, an item may come
            twice.
        extents: Of each item.
        budget: Tokens of one batch; an item that takes more is a batch of its own.
        padded: Whether rows are padded to the longest beside them, and padding counts.
    """
    sized = sorted(zip(indices, extents, strict=True), key=lambda each: (-each[1].tokens, each[0]))
    batches: list[list[tuple[int, Extent]]] = []
    for item in sized:
        for batch in batches:
            if tokens_taken([extent for _, extent in (*batch, item)], padded=padded) <= budget:
                batch.append(item)
                break
        else:
            batches.append([item])
    return [[index for index, _ in batch] for batch in batches]


def spread(batches: Sequence[list[int]], count: int) -> list[list[int]]:
    """The same items in exactly this many batches: those with the most items are halved.

    Args:
        batches: At most `count`.
        count: At most the number of items: ranks with equal shares can always agree on one.
    """
    spread_out = [list(batch) for batch in batches]
    while len(spread_out) < count:
        place = max(range(len(spread_out)), key=lambda place: len(spread_out[place]))
        batch = spread_out[place]
        assert len(batch) > 1, "more batches are asked for than there are items"
        spread_out[place : place + 1] = [batch[::2], batch[1::2]]
    return spread_out


def tokens_taken(extents: Sequence[Extent], *, padded: bool) -> int:
    """Tokens of a batch of some items, those of its padding included where rows are padded."""
    if not padded:
        return sum(extent.tokens for extent in extents)
    return sum(extent.rows for extent in extents) * max(extent.longest for extent in extents)
