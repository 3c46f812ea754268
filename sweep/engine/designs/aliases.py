"""Aliases: effects that a fraction of a grid cannot tell apart.

Two effects share what they do as far as their contrasts correlate over the points: 0 apart, 1 the
same. Effects are single factors and pairs; what three factors do together is taken to be nothing.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[np.int64]
MOST_PAIRED = 20
"""Factors up to which pairs are compared with pairs; 20 make 190 of them."""
_ROUNDING = 1e-6


def alias_lines(
    columns: Columns, names: Sequence[str], *, sizes: Sequence[int], strength: int
) -> Iterator[str]:
    """Groups of effects, of single factors and of pairs, that share contrasts.

    `a = b x c`: what a does is what b and c do together. `a ~ b x c`: partly so.

    Args:
        columns: `(points, factors)`, level numbers from 0.
        names: Of the factors.
        sizes: Their numbers of levels.
        strength: Factors of which all combinations are known to be equally frequent.
    """
    factors = range(len(names))
    singles: list[tuple[int, ...]] = [(factor,) for factor in factors]
    pairs: list[tuple[int, ...]] = list(itertools.combinations(factors, 2))
    paired = len(singles) <= MOST_PAIRED
    contrasts = {effect: _contrasts(columns, sizes, effect) for effect in (*singles, *pairs)}
    same: dict[tuple[int, ...], tuple[int, ...]] = {}
    partly: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    compared = itertools.chain(
        itertools.product(singles, pairs), itertools.combinations(pairs, 2) if paired else ()
    )
    for one, other in compared:
        if len({*one, *other}) <= strength:
            continue
        shared = _shared(contrasts[one], contrasts[other])
        if shared > 1 - _ROUNDING:
            first = same.get(one, one)
            same.setdefault(one, first)
            same[other] = first
        elif shared > _ROUNDING:
            partly.setdefault(one, []).append(other)

    def name(effect: tuple[int, ...]) -> str:
        return " x ".join(names[factor] for factor in effect)

    groups: dict[tuple[int, ...], list[str]] = {}
    for effect, first in same.items():
        groups.setdefault(first, []).append(name(effect))
    for same_names in groups.values():
        yield " = ".join(same_names)
    for effect, others in partly.items():
        yield f"{name(effect)} ~ {', '.join(map(name, others))}"


def _contrasts(
    columns: Columns, sizes: Sequence[int], effect: Sequence[int]
) -> NDArray[np.float64]:
    """Orthonormal contrasts of an effect, `(points, degrees of freedom)`."""
    made = np.ones((len(columns), 1))
    for factor in effect:
        coded = _helmert(sizes[factor])[columns[:, factor]]
        made = (made[:, :, None] * coded[:, None, :]).reshape(len(made), -1)
    return made


@functools.cache
def _helmert(levels: int) -> NDArray[np.float64]:
    """Contrasts of equally frequent levels, with mean square one, `(levels, levels - 1)`."""
    matrix = np.zeros((levels, levels - 1))
    for column in range(1, levels):
        matrix[:column, column - 1] = -1.0
        matrix[column, column - 1] = column
    scale: NDArray[np.float64] = np.sqrt(levels / (matrix**2).sum(axis=0))
    return matrix * scale


def _shared(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Largest correlation between what two effects do, 0 apart to 1 the same."""
    return float(np.linalg.norm(one.T @ other / len(one), ord=2))
