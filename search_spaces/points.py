"""Conditions between axes: who asks about whom, whether one holds, what is wrong with one."""

from __future__ import annotations

import functools
import graphlib
from collections.abc import Mapping, Sequence
from typing import Any

from infra.field_shapes import bare, choices, section
from infra.findings import Finding, InvalidSettings, described, hint, nearest
from search_spaces.axes import Axis
from search_spaces.conditions import Comparison, Condition, Constant, Name, Value
from search_spaces.patches import locate, setting_in, setting_paths
from trainer.config import TrainerConfig

BASELINE = "baseline"
"""What a condition reads for an axis that stands at the baseline without a level of its own."""


def own_levels(axes: Sequence[Axis]) -> dict[str, str]:
    """Where every axis stands at the baseline, as far as it has a level of its own."""
    return {axis.name: axis.baseline_level.name for axis in axes if axis.baseline_level is not None}


def condition_holds(condition: Condition, config: TrainerConfig, point: Mapping[str, str]) -> bool:
    """Whether a condition holds for these settings and levels; settings win over equal names."""
    values = {
        name: setting_in(config, name) if is_setting(name) else point.get(name, BASELINE)
        for name in condition.names()
    }
    return condition.holds(values)


@functools.cache
def is_setting(name: str) -> bool:
    """Whether a name is a single setting's dotted path."""
    try:
        return section(locate(name).shape) is None
    except InvalidSettings:
        return False


def in_order(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """The axes, each after those its condition asks about, else as given.

    Raises:
        InvalidSettings: If conditions wait for each other.
    """
    if all(axis.condition is None for axis in axes):
        return tuple(axes)
    by_name = {axis.name: axis for axis in axes}
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for axis in axes:
        sorter.add(axis.name, *(other.name for other in axes if asks_about(axis, other)))
    try:
        return tuple(by_name[name] for name in sorter.static_order())
    except graphlib.CycleError as error:
        cycle = list(dict.fromkeys(error.args[1]))
        message = f"the conditions of {', '.join(cycle)} wait for each other; drop one"
        raise InvalidSettings([Finding((cycle[0], "when"), message)]) from error


def asks_about(axis: Axis, other: Axis) -> bool:
    """Whether the axis' condition depends on the other axis' level."""
    if axis is other or axis.condition is None:
        return False
    return any(
        name == other.name or any(overlap(name, path) for path in other.paths)
        for name in axis.condition.names()
    )


def overlap(first: str, second: str) -> bool:
    """Whether one dotted path is the other or leads into it."""
    return first == second or first.startswith(f"{second}.") or second.startswith(f"{first}.")


Levels = Mapping[str, Sequence[str] | None]
"""Names of the levels, by axis; None where they could not be read."""


def condition_findings(condition: Condition, levels: Levels) -> list[Finding]:
    """What is wrong with the names and values a condition compares."""
    findings = []
    for name in condition.names():
        if not is_setting(name) and name not in levels:
            near = hint(name, [*levels, *(path for path in setting_paths() if is_setting(path))])
            findings.append(Finding((), f"unknown setting or axis '{name}'{near}"))
    if findings:
        return findings
    for comparison in condition.comparisons():
        findings += _comparison_findings(comparison, levels)
    return findings


def _comparison_findings(comparison: Comparison, levels: Levels) -> list[Finding]:
    for name, constant in (
        (comparison.left, comparison.right),
        (comparison.right, comparison.left),
    ):
        if isinstance(name, Name) and isinstance(constant, Constant):
            allowed = _allowed(name.path, levels)
            values = constant.value if isinstance(constant.value, tuple) else (constant.value,)
            return [
                Finding((), message)
                for value in values
                if (message := _misfit(name.path, value, comparison.sign, allowed))
            ]
    return []


def _allowed(name: str, levels: Levels) -> tuple[Any, ...] | type | None:
    """The values a name can have, or their type, or None when anything goes."""
    if not is_setting(name):
        known = levels[name]
        return None if known is None else (*known, BASELINE)
    shape = locate(name).shape
    if found := choices(shape):
        return found
    plain = bare(shape)
    return plain if plain in (int, float, bool, str) and isinstance(plain, type) else None


def _misfit(
    name: str, value: Value, sign: str, allowed: tuple[Any, ...] | type | None
) -> str | None:
    if allowed is None or value is None:
        return None
    if isinstance(allowed, tuple):
        if value in allowed and sign not in ("<", "<=", ">", ">="):
            return None
        near = nearest(str(value), [str(option) for option in allowed])
        remedy = f"; did you mean '{near}'?" if near else ""
        listed = ", ".join(str(option) for option in allowed)
        return f"{name} is one of {listed}; it is never {sign} {described(value)}{remedy}"
    fits = isinstance(value, bool) if allowed is bool else _is_number(value)
    if (isinstance(value, str) if allowed is str else fits) and not (
        allowed in (str, bool) and sign in ("<", "<=", ">", ">=")
    ):
        return None
    kind = {bool: "true or false", str: "text"}.get(allowed, "a number")
    return f"{name} is {kind}; it cannot be compared ({sign}) with {described(value)}"


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
