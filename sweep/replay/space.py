"""`TableSpace`: a table's configurations as points of axes.

A listed level must be in the table. A range is drawn from freely and answered by the nearest
configuration, as pools of random configurations are used in the field; distances are in units of
the range, by ratio where the axis is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infra.errors import Problem, SpecError
from infra.findings import hint
from search_spaces.axes import Axis
from search_spaces.levels import Level
from search_spaces.ranges import Range
from sweep.replay.curves import CurveTable, Value
from sweep.spec.axis_spec import AxisEntry, AxisSpec
from sweep.spec.sweep_spec import SweepSpec

DECADES_BY_RATIO = 2.0
"""A column whose positive values span as many powers of ten is taken by ratio."""
MISSING = 1.0
"""Squared distance of a configuration that has no value on an axis: a whole range."""


@dataclass(frozen=True, kw_only=True)
class TableSpace:
    """Axes over a table, and the configuration that stands for the baseline."""

    spec: SweepSpec
    table: CurveTable
    axes: tuple[Axis, ...]
    baseline: str | None

    def configuration(
        self, point: Mapping[str, str], *, taken: Collection[str] = frozenset()
    ) -> str:
        """The configuration a point stands for; of a range, the nearest that is not taken.

        Raises:
            SpecError: If the table has none with these levels, or several.
        """
        if not point and self.baseline is not None:
            return self.baseline
        ranges = {axis.name: axis.domain for axis in self.axes if isinstance(axis.domain, Range)}
        own = self.table.configurations[self.baseline] if self.baseline is not None else {}
        asked = {name: text_of(value) for name, value in own.items() if name not in ranges}
        asked |= {name: level for name, level in point.items() if name not in ranges}
        drawn = {
            name: float(value)
            for name, value in own.items()
            if name in ranges and isinstance(value, int | float)
        }
        drawn |= {name: float(level) for name, level in point.items() if name in ranges}
        found = list(_matching(self.table, asked))
        if drawn and found:
            found = [name for name in found if name not in taken] or found
            return min(found, key=lambda name: (self._distance(name, drawn, ranges), name))
        if len(found) == 1:
            return found[0]
        where = point_text(asked) or "a point without axes"
        if found:
            message = f"{len(found)} configurations of the curves have {where}; name more axes"
        else:
            message = f"no configuration of the curves has {where}"
        raise SpecError(f"sweep {self.spec.name}", [Problem("axes", message)])

    def _distance(
        self, name: str, drawn: Mapping[str, float], ranges: Mapping[str, Range]
    ) -> float:
        total = 0.0
        for axis, wanted in drawn.items():
            value, domain = self.table.configurations[name][axis], ranges[axis]
            if value is None:
                total += MISSING
                continue
            if not isinstance(value, int | float) or (domain.log and value <= 0):
                return math.inf
            scale = math.log if domain.log else float
            width = scale(domain.high) - scale(domain.low)
            total += ((scale(value) - scale(wanted)) / width) ** 2
        return total


def table_space(spec: SweepSpec, table: CurveTable) -> TableSpace:
    """The space of a sweep file over a table; of a file without axes, over all its columns.

    Raises:
        SpecError: If an axis or the baseline is not in the table.
    """
    problems = []
    for name in spec.axes:
        if name not in table.axes:
            message = f"the curves have no column {name!r}{hint(name, list(table.axes))}"
            problems.append(Problem(f"axes.{name}", message))
    if problems:
        raise SpecError(f"sweep {spec.name}", problems)
    baseline = _baseline(spec, table)
    own = table.configurations[baseline] if baseline is not None else {}
    if spec.axes:
        axes = tuple(_axis(name, entry, own.get(name)) for name, entry in spec.axes.items())
    else:
        axes = tuple(_column(name, table) for name in table.axes)
    return TableSpace(spec=spec, table=table, axes=axes, baseline=baseline)


def text_of(value: object) -> str:
    """A value as a level's name; 1 and 1.0 are one."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def point_text(point: Mapping[str, str]) -> str:
    """A point in words."""
    return ", ".join(f"{axis}={level}" for axis, level in point.items())


def _baseline(spec: SweepSpec, table: CurveTable) -> str | None:
    if not spec.baseline:
        return None
    if isinstance(spec.baseline, str):
        if spec.baseline in table.configurations:
            return spec.baseline
        near = hint(spec.baseline, list(table.configurations))
        message = f"the curves hold no configuration {spec.baseline!r}{near}"
        raise SpecError(f"sweep {spec.name}", [Problem("baseline", message)])
    asked = {name: text_of(value) for name, value in spec.baseline.items()}
    unknown = [name for name in asked if name not in table.axes]
    if unknown:
        message = f"the curves have no column {unknown[0]!r}{hint(unknown[0], list(table.axes))}"
        raise SpecError(f"sweep {spec.name}", [Problem("baseline", message)])
    found = list(_matching(table, asked))
    if len(found) != 1:
        message = f"{len(found)} configurations of the curves have {point_text(asked)}, not one"
        raise SpecError(f"sweep {spec.name}", [Problem("baseline", message)])
    return found[0]


def _matching(table: CurveTable, asked: Mapping[str, str]) -> Iterator[str]:
    for name, values in table.configurations.items():
        if all(text_of(values[axis]) == level for axis, level in asked.items()):
            yield name


def _axis(name: str, entry: AxisEntry, own: Value) -> Axis:
    """An axis as the file gives it: levels, or a range."""
    if isinstance(entry, AxisSpec) and entry.low is not None and entry.high is not None:
        whole = all(isinstance(end, int) for end in (entry.low, entry.high))
        domain = Range(path=name, low=entry.low, high=entry.high, log=entry.log, whole=whole)
        return Axis(name=name, levels=(), domain=domain)
    levels = list((entry.levels or ()) if isinstance(entry, AxisSpec) else entry)
    reference = None if own is None else text_of(own)
    return _listed(name, [text_of(value) for value in levels], reference)


def _column(name: str, table: CurveTable) -> Axis:
    """An axis of all that a column holds: a range of numbers, else levels.

    Some configurations may have no value there, as where a setting belongs to one optimizer alone.
    """
    values = [configuration[name] for configuration in table.configurations.values()]
    values = [value for value in values if value is not None]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values) or len(set(numbers)) < 2:
        return _listed(name, sorted({text_of(value) for value in values}), None)
    low, high = min(numbers), max(numbers)
    log = low > 0 and float(np.log10(high / low)) >= DECADES_BY_RATIO
    whole = all(float(value).is_integer() for value in numbers)
    domain = Range(path=name, low=low, high=high, log=log, whole=whole)
    return Axis(name=name, levels=(), domain=domain)


def _listed(name: str, texts: Sequence[str], own: str | None) -> Axis:
    return Axis(
        name=name,
        levels=tuple(Level(name=text, patch={}, is_baseline=text == own) for text in texts),
    )
