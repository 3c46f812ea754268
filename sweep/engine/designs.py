"""Which points a design asks for: the chosen level of some axes, the others at the baseline.

A design knows nothing of conditions or trainings; `sweep.engine.arms` settles its points. A new
kind is a `Design` in `DESIGNS` and a spec of that `kind`. Points are counted before any is made.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from infra.errors import Problem
from search_spaces.axes import Axis
from sweep.spec.design_spec import DesignSpec

MAX_POINTS = 100_000
"""More are refused: nobody trains them, and enumerating them would only take the memory."""

Point = dict[str, str]
"""Level by axis."""


class Design(Protocol):
    """A way to choose points."""

    def count(self, axes: Sequence[Axis]) -> int:
        """How many points there are."""
        ...

    def points(self, axes: Sequence[Axis]) -> Iterator[Point]:
        """The points, in an order that depends on the axes alone."""
        ...


class Grid:
    """Every combination of levels."""

    def count(self, axes: Sequence[Axis]) -> int:
        """The product of the numbers of levels."""
        return math.prod(len(axis.levels) for axis in axes)

    def points(self, axes: Sequence[Axis]) -> Iterator[Point]:
        """In the order of the file, the last axis changing fastest."""
        names = [axis.name for axis in axes]
        for levels in itertools.product(*(axis.levels for axis in axes)):
            yield {name: level.name for name, level in zip(names, levels, strict=True)}


class OneFactor:
    """The baseline, and every other level of each axis alone."""

    def count(self, axes: Sequence[Axis]) -> int:
        """One, and every level that is not the baseline's own."""
        return 1 + sum(not level.is_baseline for axis in axes for level in axis.levels)

    def points(self, axes: Sequence[Axis]) -> Iterator[Point]:
        """The baseline first, then axis by axis."""
        yield {}
        for axis in axes:
            for level in axis.levels:
                if not level.is_baseline:
                    yield {axis.name: level.name}


DESIGNS: Mapping[str, Design] = {"grid": Grid(), "one_factor": OneFactor()}
"""By `kind` of the design in the sweep file."""


def design_problems(spec: DesignSpec, axes: Sequence[Axis]) -> list[Problem]:
    """Why the design cannot be enumerated; empty when it can."""
    count = DESIGNS[spec.kind].count(axes)
    if count < 1:
        empty = ", ".join(axis.name for axis in axes if not axis.levels)
        message = f"a {spec.kind} design of these axes has no point; give {empty} a level"
        return [Problem("design", message)]
    if count > MAX_POINTS:
        sizes = " x ".join(str(len(axis.levels)) for axis in axes)
        message = (
            f"a {spec.kind} design of these axes ({sizes} levels) has {count:,} points, at most "
            f"{MAX_POINTS:,} can be planned; drop levels or axes, or use design one_factor"
        )
        return [Problem("design", message)]
    return []


def design_points(spec: DesignSpec, axes: Sequence[Axis]) -> Iterator[Point]:
    """The points of a design that has no problems."""
    return DESIGNS[spec.kind].points(axes)
