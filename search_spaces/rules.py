"""`Rule`: what every arm must meet; from `constraints` and `exclude` of a sweep file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.findings import Finding, InvalidSettings, Location, hint
from search_spaces.axes import Axis
from search_spaces.axis_levels import Scalar
from search_spaces.condition_parser import parse_condition
from search_spaces.conditions import All, Comparison, Condition, Constant, Name, Not, Value
from search_spaces.levels import value_name
from search_spaces.points import condition_findings, condition_holds, is_setting
from trainer.config import TrainerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on settings and levels; arms that break it are left out."""

    condition: Condition
    location: Location
    """Where in the sweep file it was written."""
    about: tuple[str, ...] = ()
    """Axes that must matter at a point for the rule to: where a level is idle it does not occur."""

    def broken(self, config: TrainerConfig, point: Mapping[str, str]) -> bool:
        """Whether an arm may not be trained.

        Args:
            config: The arm's.
            point: Its level on every axis that is active.
        """
        if any(name not in point for name in self.about):
            return False
        return not condition_holds(self.condition, config, point)

    def __str__(self) -> str:
        return str(self.condition)


def constraint_rule(text: str, location: Location, axes: Sequence[Axis]) -> Rule:
    """The rule a condition makes.

    Raises:
        InvalidSettings: If it is no condition, or asks about what there is not.
    """
    condition = parse_condition(text)
    findings = condition_findings(condition, _level_names(axes))
    if findings:
        raise InvalidSettings(findings)
    return Rule(condition=condition, location=location)


def exclusion_rule(
    combination: Mapping[str, Scalar | Sequence[Scalar]], location: Location, axes: Sequence[Axis]
) -> Rule:
    """The rule that a combination of levels does not occur.

    Raises:
        InvalidSettings: If it names no axis, or a level its axis lacks.
    """
    by_name = {axis.name: axis for axis in axes}
    findings = []
    parts: list[Comparison] = []
    for name, wanted in combination.items():
        axis = by_name.get(name)
        if axis is None:
            message = f"there is no axis '{name}' to exclude levels of{hint(name, by_name)}"
            findings.append(Finding((name,), message))
            continue
        values = tuple(wanted) if isinstance(wanted, list | tuple) else (wanted,)
        if not values:
            findings.append(Finding((name,), "expected a level or several, came an empty list"))
        values = _values(axis, values, findings)
        parts.append(Comparison(Name(name), "in", Constant(values)))
    if not combination:
        findings.append(Finding((), "expected axes with their levels, came an empty mapping"))
    if findings:
        raise InvalidSettings(findings)
    return Rule(
        condition=Condition(Not(All(tuple(parts)))), location=location, about=tuple(combination)
    )


def _values(axis: Axis, wanted: tuple[Scalar, ...], findings: list[Finding]) -> tuple[Value, ...]:
    """What the axis is at these levels: the setting's values, or the levels' names."""
    values: list[Value] = []
    for level in wanted:
        found = axis.find(value_name(level))
        if found is None:
            names = [known.name for known in axis.levels]
            message = f"the axis has no level {value_name(level)!r}{hint(value_name(level), names)}"
            findings.append(Finding((axis.name,), message))
        elif is_setting(axis.name):
            values.append(found.patch.get(axis.name, level))
        else:
            values.append(found.name)
    return tuple(values)


def _level_names(axes: Sequence[Axis]) -> dict[str, list[str]]:
    return {axis.name: [level.name for level in axis.levels] for axis in axes}
