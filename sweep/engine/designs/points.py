"""Which points a design asks for: the chosen level of some axes, the others at the baseline.

A design knows nothing of conditions, rules or trainings; `sweep.engine.planning.arms` settles its
points. A new kind is a class in `_KINDS` and a spec of that `kind`. Points are counted before any
is made.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from infra.errors import Problem
from search_spaces.axes import Axis
from sweep.engine.designs.fractions import Fraction, smallest_fraction
from sweep.engine.designs.sampling import Sample, hypercube_points, random_points, space_size
from sweep.spec.design_spec import (
    DesignSpec,
    FractionalDesign,
    LatinHypercubeDesign,
    RandomDesign,
    SearchDesign,
)

MAX_POINTS = 100_000
"""More are refused: nobody trains them, and enumerating them would only take the memory."""

DRAWN = frozenset({"random", "latin_hypercube"})
"""Kinds that need not come upon every level of every axis."""

SEARCHED = frozenset({"tpe", "optuna"})
"""Kinds whose points are asked for while the sweep runs."""

Point = dict[str, str]
"""Level by axis."""


class Design(Protocol):
    """A way to choose points."""

    @property
    def wanted(self) -> int | None:
        """Distinct trainings to stop at, the baseline not counted; None for all points."""
        ...

    def problems(self) -> list[Problem]:
        """Why the points cannot be enumerated; empty when they can."""
        ...

    def points(self) -> Iterator[Point]:
        """The points, in an order that depends on spec and axes alone."""
        ...

    def facts(self) -> DesignFacts:
        """What a reader of the plan and of the report should know of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignFacts:
    """What can and what cannot be told apart in a design."""

    kind: str
    resolution: int | None = None
    """Of a fraction, as reached and not as asked."""
    aliases: tuple[str, ...] = ()
    """Groups of effects that this fraction cannot tell apart, such as `a = b x c`."""
    left_out: int = 0
    """Points that break a rule."""
    remarks: tuple[str, ...] = ()


class Grid:
    """Every combination of levels."""

    wanted = None

    def __init__(self, spec: DesignSpec, axes: Sequence[Axis]) -> None:
        self._kind, self._axes = spec.kind, axes

    def problems(self) -> list[Problem]:
        """Too many points, or none."""
        empty = [axis.name for axis in self._axes if not axis.levels]
        if empty:
            message = (
                f"a {self._kind} design of these axes has no point; give {', '.join(empty)} a level"
            )
            return [Problem("design", message)]
        count = math.prod(len(axis.levels) for axis in self._axes)
        if count <= MAX_POINTS:
            return []
        sizes = " x ".join(str(len(axis.levels)) for axis in self._axes)
        message = (
            f"a {self._kind} design of these axes ({sizes} levels) has {count:,} points, at most "
            f"{MAX_POINTS:,} can be planned; drop levels or axes, or use design one_factor, "
            "fractional or random"
        )
        return [Problem("design", message)]

    def points(self) -> Iterator[Point]:
        """In the order of the file, the last axis changing fastest."""
        names = [axis.name for axis in self._axes]
        for levels in itertools.product(*(axis.levels for axis in self._axes)):
            yield {name: level.name for name, level in zip(names, levels, strict=True)}

    def facts(self) -> DesignFacts:
        """Nothing is mixed up with anything else."""
        return DesignFacts(kind=self._kind)


class OneFactor:
    """The baseline, and every other level of each axis alone.

    Leaving one out and adding one in are the same with axes whose levels are subsets.
    """

    wanted = None

    def __init__(self, spec: DesignSpec, axes: Sequence[Axis]) -> None:
        self._kind, self._axes = spec.kind, axes

    def problems(self) -> list[Problem]:
        """It is never too large to be enumerated."""
        return []

    def points(self) -> Iterator[Point]:
        """The baseline first, then axis by axis."""
        yield {}
        for axis in self._axes:
            for level in axis.levels:
                if not level.is_baseline:
                    yield {axis.name: level.name}

    def facts(self) -> DesignFacts:
        """What it cannot answer."""
        several = len(self._axes) > 1
        remark = "axes move one at a time: whether they add up is not measured"
        return DesignFacts(kind=self._kind, remarks=(remark,) if several else ())


class FractionOfGrid:
    """A balanced part of the grid."""

    wanted = None

    def __init__(self, spec: FractionalDesign, axes: Sequence[Axis]) -> None:
        self._axes, self._resolution = axes, spec.resolution
        self._fraction: Fraction | None = None

    def problems(self) -> list[Problem]:
        """No fraction of that resolution is known, or it is too large."""
        empty = [axis.name for axis in self._axes if not axis.levels]
        if empty:
            return [Problem("design", f"give {', '.join(empty)} a level")]
        self._fraction = smallest_fraction(
            self._axes, resolution=self._resolution, most_points=MAX_POINTS
        )
        if self._fraction is not None:
            return []
        sizes = " x ".join(str(len(axis.levels)) for axis in self._axes)
        message = (
            f"no fraction of resolution {self._resolution} with at most {MAX_POINTS:,} points is "
            f"known for these axes ({sizes} levels); lower the resolution, or drop levels"
        )
        return [Problem("design.resolution", message)]

    def points(self) -> Iterator[Point]:
        """In standard order."""
        assert self._fraction is not None
        yield from self._fraction.points()

    def facts(self) -> DesignFacts:
        """Resolution and aliases of the fraction."""
        assert self._fraction is not None
        fraction = self._fraction
        remarks = []
        if fraction.is_whole:
            remarks.append("no smaller fraction of this resolution is known: it is the whole grid")
        return DesignFacts(
            kind="fractional",
            resolution=fraction.resolution,
            aliases=fraction.aliases(),
            remarks=tuple(remarks),
        )


class Drawn:
    """Points drawn at random or spread evenly, the baseline with them if wanted."""

    def __init__(self, spec: RandomDesign | LatinHypercubeDesign, axes: Sequence[Axis]) -> None:
        self._spec, self._axes = spec, axes

    @property
    def wanted(self) -> int | None:
        """As many as asked for; a hypercube keeps its places and draws no others."""
        return self._spec.points if isinstance(self._spec, RandomDesign) else None

    def problems(self) -> list[Problem]:
        """More points than there are, or than can be planned."""
        points, size = self._spec.points, space_size(self._axes)
        if points > MAX_POINTS:
            message = f"at most {MAX_POINTS:,} points can be planned, came {points:,}"
            return [Problem("design.points", message)]
        if size is not None and points > size and isinstance(self._spec, RandomDesign):
            message = (
                f"{points:,} points are asked for, but these axes have only {size:,}; "
                "lower points, or use design grid"
            )
            return [Problem("design.points", message)]
        return []

    def points(self) -> Iterator[Point]:
        """The baseline first, then as drawn."""
        if self._spec.with_baseline:
            yield {}
        sample = Sample(axes=tuple(self._axes), points=self._spec.points, seed=self._spec.seed)
        if isinstance(self._spec, RandomDesign):
            yield from random_points(sample)
        else:
            yield from hypercube_points(sample)

    def facts(self) -> DesignFacts:
        """The seed makes it again."""
        remark = f"drawn with design seed {self._spec.seed}; the same file draws the same points"
        return DesignFacts(kind=self._spec.kind, remarks=(remark,))


class Searched:
    """The baseline; all other points are asked for while the sweep runs."""

    wanted = None

    def __init__(self, spec: SearchDesign, axes: Sequence[Axis]) -> None:
        del axes
        self._spec = spec

    def problems(self) -> list[Problem]:
        """More points than can be planned."""
        if self._spec.trials <= MAX_POINTS:
            return []
        message = f"at most {MAX_POINTS:,} points can be asked for, came {self._spec.trials:,}"
        return [Problem("design.trials", message)]

    def points(self) -> Iterator[Point]:
        """The baseline."""
        yield {}

    def facts(self) -> DesignFacts:
        """What it cannot answer."""
        remark = (
            f"{self._spec.trials} points are asked from {self._spec.sampler}: they crowd where it "
            "is good, so effects of single axes are not measured evenly"
        )
        return DesignFacts(kind=self._spec.kind, remarks=(remark,))


_KINDS: Mapping[str, Callable[[Any, Sequence[Axis]], Design]] = {
    "grid": Grid,
    "one_factor": OneFactor,
    "leave_one_out": OneFactor,
    "add_one_in": OneFactor,
    "fractional": FractionOfGrid,
    "random": Drawn,
    "latin_hypercube": Drawn,
    "tpe": Searched,
    "optuna": Searched,
}


def make_design(spec: DesignSpec, axes: Sequence[Axis]) -> Design:
    """The design of a sweep file over these axes; ask for its problems before its points."""
    return _KINDS[spec.kind](spec, axes)


def first_design(spec: DesignSpec, axes: Sequence[Axis]) -> tuple[Sequence[Axis], DesignSpec]:
    """The design a sweep begins with and the axes it varies; a search begins with the baseline."""
    if spec.kind == "staged":
        stage = spec.stages[0]
        return [axis for axis in axes if axis.name in stage.axes], stage.design
    return ([], spec) if spec.kind in SEARCHED else (axes, spec)
