"""`CurveTable`: recorded learning curves by configuration and seed.

Invariant: a curve's steps and seconds rise; what was recorded out of order is put in order, and
time never runs backwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from infra.errors import InputError
from sweep.replay.curves_file import CurveColumns, CurvesFile, read_curves_file

Floats = NDArray[np.float64]
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One training as it was recorded."""

    steps: Floats
    """Rising, at least one."""
    seconds: Floats
    """Since the training began, never falling."""
    values: Floats
    """The metric; NaN where it was lost."""

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return int(self.steps[-1])

    @property
    def total_seconds(self) -> float:
        """Seconds of the whole training."""
        return float(self.seconds[-1])

    def seconds_at(self, step: float) -> float:
        """When a step was done, between recorded ones by proportion; 0 before the first."""
        if step <= 0:
            return 0.0
        return float(np.interp(step, [0.0, *self.steps], [0.0, *self.seconds]))

    def step_at(self, seconds: float) -> int:
        """Steps done after so many seconds."""
        return int(np.interp(seconds, [0.0, *self.seconds], [0.0, *self.steps]))

    def value_at(self, step: float) -> float:
        """The last figure told up to a step; the first one before it."""
        index = int(np.searchsorted(self.steps, step, side="right")) - 1
        return float(self.values[max(0, index)])


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveTable:
    """Every curve of a table."""

    name: str
    mode: str
    """`max` or `min`."""
    digest: str
    """Of all that is in it; part of every identity."""
    axes: tuple[str, ...]
    configurations: Mapping[str, Mapping[str, Value]]
    """Value on every axis, by configuration."""
    curves: Mapping[str, Mapping[int, Curve]]
    """By configuration and seed, from 0."""

    @property
    def sign(self) -> float:
        """1 when more is better, -1 when less is."""
        return 1.0 if self.mode == "max" else -1.0

    @cached_property
    def final_means(self) -> dict[str, float]:
        """Mean over seeds of what each configuration ends with; NaN when a seed has no figure."""
        return {
            name: float(np.mean([curve.values[-1] for curve in seeds.values()]))
            for name, seeds in self.curves.items()
        }

    @cached_property
    def best(self) -> tuple[str, float]:
        """The best configuration in hindsight and what it ends with."""
        known = {name: mean for name, mean in self.final_means.items() if np.isfinite(mean)}
        if not known:
            raise InputError(f"{self.name}: no configuration ends with a figure")
        name = max(known, key=lambda each: self.sign * known[each])
        return name, known[name]

    @cached_property
    def median_seconds(self) -> float:
        """Of whole trainings; what a planner could know beforehand."""
        totals = [c.total_seconds for seeds in self.curves.values() for c in seeds.values()]
        return float(np.median(totals))

    @property
    def total_seconds(self) -> float:
        """Of every training in the table, once."""
        return sum(c.total_seconds for seeds in self.curves.values() for c in seeds.values())


def load_curves(path: str | Path) -> CurveTable:
    """The table a curves file describes.

    Raises:
        SpecError: With every wrong key, value and column.
        InputError: If the rows make no curves.
        MissingError: If a file is not there.
    """
    described, rows = read_curves_file(path)
    return make_table(described, rows, name=Path(path).stem)


def make_table(described: CurvesFile, rows: pd.DataFrame, *, name: str) -> CurveTable:
    """The table of described rows.

    Raises:
        InputError: If a step, a time or a metric is no number, or a step no whole one.
    """
    columns = described.columns
    keys = columns.configuration
    key_columns = [keys] if isinstance(keys, str) else keys
    axes = tuple(described.axes) or _varying(rows, described, key_columns)
    numbers = {
        role: _numbers(rows, column, name)
        for role, column in (
            ("step", columns.step),
            ("seconds", columns.seconds),
            ("metric", columns.metric),
        )
        if column is not None
    }
    _refuse_unfit_times(numbers, columns, name)
    labels = rows[key_columns].astype(str).agg("/".join, axis=1)
    seeds = rows[columns.seed].astype(str) if columns.seed else pd.Series("0", index=rows.index)
    configurations: dict[str, dict[str, Value]] = {}
    curves: dict[str, dict[int, Curve]] = {}
    positions = pd.Series(np.arange(len(rows)), index=rows.index)
    for (label_of_group, _), group in positions.groupby([labels, seeds], sort=True):
        label, index = str(label_of_group), group.to_numpy()
        curve = _curve({role: values[index] for role, values in numbers.items()})
        if curve.total_steps < 1:
            raise InputError(f"{name}: configuration {label!r} has no step after 0")
        if label not in configurations:
            row = rows.iloc[int(index[0])]
            configurations[label] = {axis: _plain(row[axis]) for axis in axes}
        of_label = curves.setdefault(label, {})
        of_label[len(of_label)] = curve
    content = pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()
    return CurveTable(
        name=name,
        mode=described.mode,
        digest=hashlib.sha256(content).hexdigest(),
        axes=axes,
        configurations=configurations,
        curves=curves,
    )


def _varying(rows: pd.DataFrame, described: CurvesFile, keys: Sequence[str]) -> tuple[str, ...]:
    """Columns that describe configurations: constant within one, different between some."""
    columns = described.columns
    not_axes = {columns.step, columns.seconds, columns.metric, columns.seed, *described.where}
    if described.configurations is not None:
        not_axes.add(described.configurations.key)
    candidates = [name for name in rows.columns if name not in not_axes]
    within = rows.groupby(list(keys), sort=False)[
        [name for name in candidates if name not in keys]
    ].nunique(dropna=False)
    constant = [name for name in within.columns if (within[name] <= 1).all()]
    found = [
        name
        for name in candidates
        if (name in keys and len(keys) > 1) or name in constant
        if rows[name].nunique(dropna=False) > 1
    ]
    return tuple(found) or tuple(keys)


def _numbers(rows: pd.DataFrame, column: str, name: str) -> Floats:
    try:
        return np.asarray(pd.to_numeric(rows[column]), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: column {column!r} holds what is no number: {error}") from error


def _refuse_unfit_times(numbers: Mapping[str, Floats], columns: CurveColumns, name: str) -> None:
    """A figure may be lost; when it was told may not, and trainings are counted in whole steps."""
    steps, seconds = numbers.get("step", np.zeros(0)), numbers.get("seconds", np.zeros(0))
    for column, values, fits, expected in (
        (columns.step, steps, (steps >= 0) & (steps == np.floor(steps)), "whole numbers from 0 on"),
        (columns.seconds, seconds, np.full(seconds.shape, True), "numbers"),
    ):
        unfit = values[~(fits & np.isfinite(values))]
        if len(unfit):
            raise InputError(
                f"{name}: expected {expected} in column {column!r}, came {unfit[0]:g}; leave such "
                "rows out, or count in a smaller unit"
            )


def _curve(columns: Mapping[str, Floats]) -> Curve:
    values = columns["metric"]
    steps = columns.get("step", np.arange(1, len(values) + 1, dtype=np.float64))
    order = np.argsort(steps, kind="stable")
    steps = steps[order]
    seconds = columns["seconds"][order] if "seconds" in columns else steps
    return Curve(
        steps=steps,
        seconds=np.maximum.accumulate(np.maximum(seconds, 0.0)),
        values=values[order],
    )


def _plain(value: object) -> Value:
    """A cell as a plain value; numpy's are not JSON's."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, str | int | float | bool):
        return value
    return str(value)
