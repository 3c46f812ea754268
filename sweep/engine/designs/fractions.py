"""Fractional factorials: the smallest balanced part of a grid with a stated resolution.

Columns come from pydoe: regular two-level fractions, and orthogonal arrays for more and for mixed
levels; where several kinds of axis do not fit one array, arrays are multiplied. Whatever they come
from, the resolution is counted on the points themselves: a fraction has resolution R when every
R - 1 axes meet in all combinations of their levels equally often (strength R - 1; Hedayat, Sloane
and Stufken, 1999, section 1.1).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_spaces.axes import Axis
from sweep.engine.designs.aliases import alias_lines

Columns = NDArray[np.int64]
"""`(points, factors)`, level numbers from 0."""

MOST_FACTORS = 31
STRONGEST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One column: an axis, or one member of a set that is in or out."""

    axis: Axis
    member: str | None
    levels: int

    @property
    def name(self) -> str:
        """As aliases call it."""
        return self.axis.name if self.member is None else f"{self.axis.name}:{self.member}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraction:
    """Part of the grid of some axes."""

    axes: tuple[Axis, ...]
    factors: tuple[Factor, ...]
    columns: Columns
    resolution: int
    """As counted; of a whole grid one more than it has factors."""

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole grid after all."""
        return len(self.columns) >= math.prod(factor.levels for factor in self.factors)

    def points(self) -> Iterator[dict[str, str]]:
        """Level by axis, in the order of the rows."""
        for row in self.columns:
            point = {axis.name: axis.levels[0].name for axis in self.axes}
            chosen: dict[str, list[str]] = {
                axis.name: [] for axis in self.axes if axis.members is not None
            }
            for factor, level in zip(self.factors, row, strict=True):
                if factor.member is None:
                    point[factor.axis.name] = factor.axis.levels[level].name
                elif level:
                    chosen[factor.axis.name].append(factor.member)
            for axis in self.axes:
                if axis.members is not None:
                    point[axis.name] = axis.members.subset(chosen[axis.name]).name
            yield point

    def aliases(self) -> tuple[str, ...]:
        """Effects of single factors and of pairs that share contrasts, as lines for a reader.

        `a = b x c`: what a does is what b and c do together. `a ~ b x c`: partly so.
        """
        return tuple(
            alias_lines(
                self.columns,
                [factor.name for factor in self.factors],
                sizes=[factor.levels for factor in self.factors],
                strength=self.resolution - 1,
            )
        )


def smallest_fraction(
    axes: Sequence[Axis], *, resolution: int, most_points: int
) -> Fraction | None:
    """The fraction with the fewest points among those known; None when there is none.

    Args:
        axes: With listed levels.
        resolution: At least this, counted and not believed.
        most_points: More are no fraction anybody runs.
    """
    factors = tuple(_factors(axes))
    if len(factors) > MOST_FACTORS:
        return None
    if not factors:
        return Fraction(
            axes=tuple(axes), factors=(), columns=np.zeros((1, 0), np.int64), resolution=1
        )
    columns = _smallest(factors, resolution - 1, most_points)
    if columns is None:
        return None
    sizes = [factor.levels for factor in factors]
    return Fraction(
        axes=tuple(axes),
        factors=factors,
        columns=columns,
        resolution=1 + strength_of(columns, sizes, up_to=min(STRONGEST, resolution)),
    )


def strength_of(columns: Columns, sizes: Sequence[int], *, up_to: int) -> int:
    """The largest t up to `up_to` for which every t columns hold all combinations equally often."""
    for strength in range(1, up_to + 1):
        if strength > len(sizes):
            return up_to if len(columns) >= math.prod(sizes) else len(sizes)
        subsets = itertools.combinations(range(len(sizes)), strength)
        if not all(_is_balanced(columns, sizes, subset) for subset in subsets):
            return strength - 1
    return up_to


def _factors(axes: Sequence[Axis]) -> Iterator[Factor]:
    for axis in axes:
        if axis.members is not None:
            for member in axis.members.free:
                yield Factor(axis=axis, member=member, levels=2)
        elif len(axis.levels) > 1:
            yield Factor(axis=axis, member=None, levels=len(axis.levels))


def _is_balanced(columns: Columns, sizes: Sequence[int], subset: Sequence[int]) -> bool:
    cells = math.prod(sizes[column] for column in subset)
    if len(columns) % cells:
        return False
    code = np.zeros(len(columns), np.int64)
    for column in subset:
        code = code * sizes[column] + columns[:, column]
    counts = np.bincount(code, minlength=cells)
    return bool((counts == len(columns) // cells).all())


def _smallest(factors: Sequence[Factor], strength: int, most: int) -> Columns | None:
    """The smallest product of arrays over every way to group the kinds of factor."""
    kinds = sorted({factor.levels for factor in factors})
    best: Columns | None = None
    for grouping in _groupings(kinds):
        blocks = [
            [index for index, factor in enumerate(factors) if factor.levels in group]
            for group in grouping
        ]
        arrays = [
            _block([factors[index].levels for index in block], strength, most) for block in blocks
        ]
        known = [array for array in arrays if array is not None]
        points = math.prod(len(array) for array in known)
        better = best is None or points < len(best)
        if len(known) == len(arrays) and points <= most and better:
            best = _product(known, blocks)
    return best


def _groupings(kinds: Sequence[int]) -> Iterator[list[list[int]]]:
    """Every partition of a few kinds."""
    if not kinds:
        yield []
        return
    first, *rest = kinds
    for grouping in _groupings(rest):
        yield [[first], *grouping]
        for index, group in enumerate(grouping):
            yield [*grouping[:index], [first, *group], *grouping[index + 1 :]]


def _block(sizes: Sequence[int], strength: int, most: int) -> Columns | None:
    """The smallest array for these columns alone."""
    found: list[Columns] = []
    whole = math.prod(sizes)
    if whole <= most:
        found.append(np.array(list(itertools.product(*map(range, sizes))), np.int64))
    if set(sizes) == {2} and len(sizes) > strength:
        found += _two_level(len(sizes), strength + 1)
    for array, array_sizes in _library_arrays():
        if len(array) < whole:
            picked = _picked(array, array_sizes, sizes, strength)
            found += [] if picked is None else [picked]
    return min(found, key=len, default=None)


def _two_level(factors: int, resolution: int) -> list[Columns]:
    from pydoe import fracfact_by_res  # takes a second to import, and only this design needs it

    try:
        signs = fracfact_by_res(factors, resolution)
    except ValueError:
        return []
    return [(signs > 0).astype(np.int64)]


@functools.cache
def _library_arrays() -> tuple[tuple[Columns, tuple[int, ...]], ...]:
    """The library's orthogonal arrays, smallest first, each with its columns' levels."""
    from pydoe import get_orthogonal_array, list_orthogonal_arrays

    arrays = []
    for name in list_orthogonal_arrays():
        raw = np.asarray(get_orthogonal_array(name))
        coded = np.stack([np.unique(column, return_inverse=True)[1] for column in raw.T], axis=1)
        sizes = tuple(int(column.max()) + 1 for column in coded.T)
        arrays.append((coded.astype(np.int64), sizes))
    return tuple(sorted(arrays, key=lambda entry: len(entry[0])))


def _picked(
    array: Columns, array_sizes: Sequence[int], sizes: Sequence[int], strength: int
) -> Columns | None:
    """Columns of an array that keep the strength and under which no two rows are the same.

    A point that stands twice is trained once, and what is left would not be balanced: of the 36
    rows the first fitting columns give for 3 x 3 x 2 x 2 x 2 x 2, 33 differ.
    """
    for first in range(len(array_sizes)):
        chosen = _chosen(array, array_sizes, sizes, strength, first)
        if chosen is None:
            return None
        if _all_differ(array[:, chosen]):
            return array[:, chosen]
    return None


def _chosen(
    array: Columns, array_sizes: Sequence[int], sizes: Sequence[int], strength: int, first: int
) -> list[int] | None:
    """Columns taken greedily, looked through from one on; None if they run out."""
    order = [*range(first, len(array_sizes)), *range(first)]
    chosen: list[int] = []
    for size in sizes:
        for column in order:
            free = array_sizes[column] == size and column not in chosen
            if free and _keeps(array, array_sizes, chosen, column, strength):
                chosen.append(column)
                break
        else:
            return None
    return chosen


def _keeps(
    array: Columns, sizes: Sequence[int], chosen: Sequence[int], column: int, strength: int
) -> bool:
    others = min(strength - 1, len(chosen))
    return all(
        _is_balanced(array, sizes, (*subset, column))
        for subset in itertools.combinations(chosen, others)
    )


def _all_differ(rows: Columns) -> bool:
    return len(np.unique(rows, axis=0)) == len(rows)


def _product(arrays: Sequence[Columns], blocks: Sequence[Sequence[int]]) -> Columns:
    """Every row of each array with every row of the others, columns put where they belong."""
    rows = np.array(list(itertools.product(*(range(len(array)) for array in arrays))), np.int64)
    columns = np.zeros((len(rows), sum(map(len, blocks))), np.int64)
    for place, (array, block) in enumerate(zip(arrays, blocks, strict=True)):
        columns[:, list(block)] = array[rows[:, place]]
    return columns
