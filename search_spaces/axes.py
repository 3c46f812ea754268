"""`Axis`: one thing a sweep varies, its levels as patches; made from what a sweep file asks for.

The name of an axis is that of a shipped axis (levels by name), a dotted path of the trainer config
(levels are values), or any other name whose levels are patches. An axis without a level equal to
the baseline is compared with the baseline as an extra reference arm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infra.field_shapes import section
from infra.findings import Finding, InvalidSettings, Location, hint
from search_spaces.catalog import AXES, setting_condition
from search_spaces.condition_parser import parse_condition
from search_spaces.conditions import Condition, both
from search_spaces.levels import Level, trains_the_same
from search_spaces.patches import Patch, locate, setting_paths
from search_spaces.source_checks import source_findings
from trainer.config import TrainerConfig

Scalar = bool | int | float | str | None

NOT_TO_VARY: Mapping[str, str] = {
    "seed": "seeds are replicates, not levels; set replicates.seeds instead",
    "evaluation": "every arm is measured alike; change the benchmarks under `set` instead",
}
"""Sections no axis may touch, and why."""

_NAME = re.compile(r"[A-Za-z_][\w.+-]{0,63}")
_LEVEL_NAME = re.compile(r"[^\s=,|](?:[^=,|\x00-\x1f\x7f]{0,98}[^\s=,|])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing that varies."""

    name: str
    levels: tuple[Level, ...]
    condition: Condition | None = None
    """When the axis matters; at points where it does not hold the baseline's settings stay."""
    question: str = ""

    @property
    def baseline_level(self) -> Level | None:
        """The level that is the baseline's own; None when the baseline is an extra arm."""
        return next((level for level in self.levels if level.is_baseline), None)

    @property
    def paths(self) -> frozenset[str]:
        """Every setting one of its levels changes."""
        return frozenset(path for level in self.levels for path in level.patch)

    def level(self, name: str) -> Level:
        """The level of that name. Raises `KeyError` when the axis has none."""
        for level in self.levels:
            if level.name == name:
                return level
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisRequest:
    """One entry under `axes` of a sweep file."""

    name: str
    levels: Sequence[Scalar] | Mapping[str, Patch]
    when: str | None = None
    question: str | None = None
    location: Location = ("levels",)
    """Where the levels stand below the axis' name; empty when they were given alone."""


def resolve_axis(request: AxisRequest, baseline: TrainerConfig | None) -> Axis:
    """The axis a sweep file asks for, every level checked against the baseline.

    Args:
        request: What stands under `axes`.
        baseline: None when the sweep's own is not known; then only names and values are checked.

    Raises:
        InvalidSettings: With every problem, located below the axis' name.
    """
    findings: list[Finding] = []
    condition = _condition(request, findings)
    levels: list[Level] = []
    placed: dict[str, Location] = {}
    reference = baseline or TrainerConfig()
    for location, level in _levels(request, baseline, findings):
        if level.name in placed:
            findings.append(Finding(location, f"the level '{level.name}' stands here twice"))
            continue
        problems = _level_findings(level, location, reference, request)
        findings += problems
        if not problems:
            placed[level.name] = location
            levels.append(level)
    if baseline is not None:
        levels = _with_baseline_marked(levels, baseline, condition)
        findings += _equal_levels(levels, placed, baseline, condition)
    if not request.levels:
        findings.append(Finding(request.location, "expected at least one level, came none"))
    elif len(levels) == len(request.levels) == 1 and levels[0].is_baseline:
        message = f"the only level '{levels[0].name}' is the baseline's own; nothing varies"
        findings.append(Finding(request.location, message))
    if findings:
        raise InvalidSettings(findings, f"axis {request.name}")
    return Axis(
        name=request.name,
        levels=tuple(levels),
        condition=condition,
        question=request.question or "",
    )


def _condition(request: AxisRequest, findings: list[Finding]) -> Condition | None:
    """What the file says, and what is known of the setting or the shipped axis besides."""
    condition: Condition | None = None
    if request.when is not None:
        try:
            condition = parse_condition(request.when)
        except InvalidSettings as error:
            findings += [finding.under("when") for finding in error.findings]
    if isinstance(request.levels, Mapping):
        return condition
    shipped = AXES.get(request.name)
    if shipped is not None:
        known = parse_condition(shipped.when) if shipped.when else None
    else:
        known = setting_condition(request.name)
    return both(condition, known)


def _levels(
    request: AxisRequest, baseline: TrainerConfig | None, findings: list[Finding]
) -> Iterator[tuple[Location, Level]]:
    if not _NAME.fullmatch(request.name):
        message = "expected an axis name of letters, digits, '.', '_', '+', '-'"
        findings.append(Finding((), f"{message}, came {request.name!r}"))
        return
    if isinstance(request.levels, Mapping):
        for name, patch in request.levels.items():
            yield (*request.location, name), Level(name=name, patch=dict(patch))
    elif request.name not in AXES:
        yield from _values(request, findings)
    elif baseline is not None:
        yield from _shipped(request, request.levels, baseline, findings)


def _shipped(
    request: AxisRequest, names: Sequence[Scalar], baseline: TrainerConfig, findings: list[Finding]
) -> Iterator[tuple[Location, Level]]:
    """Levels by the names the shipped axis gives them."""
    shipped = AXES[request.name]
    for index, value in enumerate(names):
        location = (*request.location, index)
        found = shipped.level(value, baseline) if isinstance(value, str) else None
        if found is None:
            known = [level.name for level in shipped.levels(baseline)]
            near = hint(_value_name(value), known)
            message = f"unknown level {_value_name(value)!r} of the axis {request.name}{near}"
            findings.append(Finding(location, message))
        else:
            yield location, found


def _values(request: AxisRequest, findings: list[Finding]) -> Iterator[tuple[Location, Level]]:
    """Values of the setting the axis is named after."""
    try:
        shape = locate(request.name).shape
    except InvalidSettings:
        near = hint(request.name, [*AXES, *setting_paths()])
        message = (
            f"'{request.name}' is neither a shipped axis nor a setting, so its levels must be "
        )
        findings.append(Finding((), f"{message}named patches{near}"))
        return
    if section(shape) is not None:
        message = f"'{request.name}' is a section; name one of its settings, or give named patches"
        findings.append(Finding((), message))
        return
    for index, value in enumerate(request.levels):
        location = (*request.location, index)
        yield location, Level(name=_value_name(value), patch={request.name: value})


def _value_name(value: Scalar) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("e-0", "e-")  # 1e-5, as it is written in a file


def _level_findings(
    level: Level, location: Location, baseline: TrainerConfig, request: AxisRequest
) -> list[Finding]:
    findings = []
    if not _LEVEL_NAME.fullmatch(level.name):
        message = "expected a level name of 1 to 100 characters without '=', ',' or '|'"
        findings.append(Finding(location, f"{message}, came {level.name!r}"))
    named = isinstance(request.levels, Mapping)
    for path in level.patch:
        top = path.partition(".")[0]
        if top in NOT_TO_VARY:
            findings.append(Finding((*location, path) if named else location, NOT_TO_VARY[top]))
    try:
        sources = [finding.message for finding in source_findings(level.applied(baseline))]
        known = [finding.message for finding in source_findings(baseline)]
        findings += [Finding(location, message) for message in sources if message not in known]
    except InvalidSettings as error:
        for finding in error.findings:
            inner = finding.location if named else finding.location[1:]
            findings.append(Finding((*location, *inner), finding.message))
    return findings


def _with_baseline_marked(
    levels: list[Level], baseline: TrainerConfig, condition: Condition | None
) -> list[Level]:
    return [
        replace(level, is_baseline=_same(level.applied(baseline), baseline, condition))
        for level in levels
    ]


def _same(first: TrainerConfig, second: TrainerConfig, condition: Condition | None) -> bool:
    # A conditional setting may train nothing at the baseline, so its bare values are compared.
    return first == second or (condition is None and trains_the_same(first, second))


def _equal_levels(
    levels: list[Level],
    placed: Mapping[str, Location],
    baseline: TrainerConfig,
    condition: Condition | None,
) -> list[Finding]:
    findings = []
    configs: list[tuple[str, TrainerConfig]] = []
    for level in levels:
        config = level.applied(baseline)
        for name, other in configs:
            if _same(config, other, condition):
                message = f"the levels '{name}' and '{level.name}' train the same weights; keep one"
                findings.append(Finding(placed[level.name], message + _machine_note(level)))
                break
        configs.append((level.name, config))
    return findings


def _machine_note(level: Level) -> str:
    if level.patch and all(path.startswith("machine") for path in level.patch):
        return " (machine settings never change what is trained)"
    return ""


def axis_row(axis: Axis) -> dict[str, Any]:
    """The axis as plain values, for a table or JSON."""
    return {
        "name": axis.name,
        "levels": [
            {"name": level.name, "patch": dict(level.patch), "is_baseline": level.is_baseline}
            for level in axis.levels
        ],
        "when": str(axis.condition) if axis.condition is not None else None,
        "question": axis.question,
    }
