"""Points drawn from axes: at random without repeats, or spread evenly over their ranges.

The same seed draws the same points on every machine and Python.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search_spaces.axes import Axis

TRIES_PER_POINT = 200
"""Draws after which a point that meets the rules and is new is taken not to exist."""
FEWEST_TRIES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is to be drawn."""

    axes: tuple[Axis, ...]
    points: int
    seed: int


def space_size(axes: Sequence[Axis]) -> int | None:
    """Combinations of listed levels; None when an axis is a range or a mixture."""
    if any(axis.domain is not None for axis in axes):
        return None
    return math.prod(len(axis.levels) for axis in axes)


def random_points(sample: Sample) -> Iterator[dict[str, str]]:
    """Distinct points in random order, until none is left or none is found any more.

    Whoever asks stops at the number wanted: a point that breaks a rule does not count.
    """
    generator = random.Random(sample.seed)
    tries = max(FEWEST_TRIES, TRIES_PER_POINT * sample.points)
    size = space_size(sample.axes)
    if size is not None:
        for number in itertools.islice(_shuffled(size, generator), tries):
            yield _numbered(sample.axes, number)
        return
    seen: set[tuple[str, ...]] = set()
    for _ in range(tries):
        unit = [generator.random() for _ in range(_dimensions(sample.axes))]
        point = point_at(sample.axes, unit)
        key = tuple(point.values())
        if key not in seen:
            seen.add(key)
            yield point


def _shuffled(size: int, generator: random.Random) -> Iterator[int]:
    """The numbers below `size` in random order; memory grows with how many are taken."""
    moved: dict[int, int] = {}
    for place in range(size):
        # Only `random()` draws the same numbers in every version of Python.
        other = place + math.floor(generator.random() * (size - place))
        yield moved.get(other, other)
        moved[other] = moved.pop(place, place)


def hypercube_points(sample: Sample) -> Iterator[dict[str, str]]:
    """A Latin hypercube: cut in as many strips as points, every axis has one point in each.

    Of the library's hypercubes that with the least centred discrepancy (scipy's optimisation by
    random exchanges).
    """
    from scipy.stats import qmc  # loaded by this design alone

    sampler = qmc.LatinHypercube(
        d=max(1, _dimensions(sample.axes)), rng=sample.seed, optimization="random-cd"
    )
    for unit in sampler.random(sample.points):
        yield point_at(sample.axes, [float(one) for one in unit])


def point_at(axes: Sequence[Axis], unit: Sequence[float]) -> dict[str, str]:
    """The point at a place in the unit cube, one coordinate per level list or range."""
    coordinates = iter(unit)
    point = {}
    for axis in axes:
        if axis.domain is not None:
            own = list(itertools.islice(coordinates, axis.domain.dimensions))
            point[axis.name] = axis.domain.drawn(own).name
        else:
            index = math.floor(next(coordinates) * len(axis.levels))
            point[axis.name] = axis.levels[min(index, len(axis.levels) - 1)].name
    return point


def _dimensions(axes: Sequence[Axis]) -> int:
    return sum(1 if axis.domain is None else axis.domain.dimensions for axis in axes)


def _numbered(axes: Sequence[Axis], number: int) -> dict[str, str]:
    """The point of that number among all combinations."""
    point = {}
    for axis in axes:
        number, index = divmod(number, len(axis.levels))
        point[axis.name] = axis.levels[index].name
    return point
