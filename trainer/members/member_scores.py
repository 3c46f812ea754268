"""Arithmetic on the scores of an ensemble's members: sums, spread, comparisons within an item.

Torch-free. Letters: M members, R responses, I items, N responses of one item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from infra.errors import InputError
from trainer.members.normalizing import Floats

Ints = NDArray[np.int64]
RouteBy = Literal["modality", "category", "source"]
Weights = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """What is known of scored responses besides their scores; responses of an item adjoin."""

    items: Ints
    """`(R,)` -- number of the item, from 0, never falling."""
    modality: NDArray[np.object_]
    """`(R,)`."""
    category: NDArray[np.object_]
    """`(R,)`."""
    source: NDArray[np.object_]
    """`(R,)`."""

    def only(self, kept: NDArray[np.bool_]) -> Responses:
        """Some whole items, numbered anew."""
        _, items = np.unique(self.items[kept], return_inverse=True)
        return Responses(
            items=items.astype(np.int64),
            modality=self.modality[kept],
            category=self.category[kept],
            source=self.source[kept],
        )

    def keys(self, by: RouteBy) -> NDArray[np.object_]:
        """The column a router looks at."""
        keys: NDArray[np.object_] = getattr(self, by)
        return keys


def used(weights: Weights) -> NDArray[np.bool_]:
    """`(M,)` -- members whose scores matter."""
    return np.asarray(np.asarray(weights) != 0, dtype=np.bool_)


def picked(values: tuple[float, ...], rows: Sequence[int]) -> tuple[float, ...]:
    """Some of the values, in the order given."""
    return tuple(values[row] for row in rows)


def weighted(scores: Floats, weights: Weights) -> Floats:
    """`(R,)` -- the weighted sum of `(M, R)` scores; unused members may be anything, even NaN."""
    needed = used(weights)
    return np.asarray(np.asarray(weights)[needed] @ scores[needed], dtype=np.float64)


def spread(scores: Floats, weights: Weights) -> Floats:
    """`(R,)` -- weighted standard deviation between the members that take part."""
    needed = used(weights)
    share = shares(weights)
    taking_part = scores[needed]
    mean = share @ taking_part
    return np.asarray(np.sqrt(share @ (taking_part - mean) ** 2), dtype=np.float64)


def against_others(
    scores: Floats, responses: Responses, beats: Callable[[Floats], Floats], rule: str
) -> Floats:
    """`(R,)` -- mean over an item's other responses of what `beats` says of the difference.

    Args:
        scores: `(M, R)`.
        responses: Which of them belong together.
        beats: From differences `(M, I, N, N)` to `(I, N, N)`.
        rule: Named in the error.

    Raises:
        InputError: If an item has only one response.
    """
    sizes = np.bincount(responses.items)
    if (sizes < 2).any():
        raise InputError(
            f"an ensemble by {rule} compares the responses of a prompt, but "
            f"{int((sizes < 2).sum())} prompts have only one response; give at least two, or "
            "build an ensemble by another method, such as z_average"
        )
    total = np.empty(scores.shape[1])
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    for size in np.unique(sizes):
        places = starts[sizes == size][:, None] + np.arange(size)
        mine = scores[:, places]
        wins = beats(mine[..., :, None] - mine[..., None, :])
        own = np.arange(size)
        wins[:, own, own] = 0.0
        total[places] = wins.sum(axis=-1) / (size - 1)
    return total


def disagreement(scores: Floats, weights: Weights, responses: Responses, chosen: Floats) -> Floats:
    """`(R,)` -- share of the members whose favourite of the item is not the ensemble's.

    Args:
        scores: `(M, R)` -- members' scores.
        weights: Of the members.
        responses: Which of them belong together.
        chosen: `(R,)` -- the ensemble's scores.

    Returns:
        The same value for all responses of an item; NaN where there is only one.
    """
    starts, sizes = _spans(responses)
    needed = used(weights)

    def favourite(values: Floats) -> Floats:
        best = np.repeat(np.maximum.reduceat(values, starts, axis=-1), sizes, axis=-1)
        return np.asarray(values >= best, dtype=np.float64)

    ours = favourite(chosen)
    theirs = favourite(scores[needed])
    # A member with several favourites agrees as far as they are the ensemble's.
    agreed = np.add.reduceat(theirs * ours, starts, axis=-1)
    held = np.add.reduceat(theirs, starts, axis=-1)
    share = shares(weights) @ (1 - agreed / held)
    return np.where(sizes > 1, share, np.nan).repeat(sizes)


def best_probability(scores: Floats, responses: Responses) -> Floats:
    """`(R,)` -- chance that a response is the best of its item, from scores that are log-odds.

    NaN where there is only one response.
    """
    starts, sizes = _spans(responses)
    top = np.maximum.reduceat(scores, starts).repeat(sizes)
    odds = np.exp(scores - top)
    share = odds / np.add.reduceat(odds, starts).repeat(sizes)
    return np.where(sizes.repeat(sizes) > 1, share, np.nan)


def _spans(responses: Responses) -> tuple[Ints, Ints]:
    """Where each item begins, and how many responses it has."""
    starts = np.flatnonzero(np.diff(responses.items, prepend=-1))
    return starts, np.diff(np.append(starts, len(responses.items)))


def shares(weights: Weights) -> Floats:
    """Weights of the members that take part, without sign, summing to one."""
    needed = np.abs(np.asarray(weights, dtype=np.float64)[used(weights)])
    return np.asarray(needed / needed.sum(), dtype=np.float64)
