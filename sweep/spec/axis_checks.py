"""What can be wrong between axes: conditions, clashes, and backbones that do not exist."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from infra.findings import Finding, InvalidSettings, Location
from search_spaces.axes import Axis
from search_spaces.conditions import exclusive
from search_spaces.patches import setting
from search_spaces.points import (
    asks_about,
    condition_findings,
    condition_holds,
    in_order,
    is_setting,
    overlap,
    own_levels,
)
from search_spaces.rules import Rule
from search_spaces.settling import PointSettler, SettledPoint, full_point
from sweep.spec.axis_requests import PlacedAxis
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig

MOST_POINTS = 5_000
"""A condition over more combinations than this is not proven to be reachable."""
MOST_PAIRS = 2_000
"""More pairs of levels are not tried one by one here; the plan settles every point anyway."""
ALONE = frozenset({"one_factor", "leave_one_out", "add_one_in"})
"""Kinds of design in which axes move one at a time."""


def axes_findings(
    spec: SweepSpec, placed: Sequence[PlacedAxis], baseline: TrainerConfig
) -> list[Finding]:
    """Problems of resolved axes with each other, located in the sweep file."""
    axes = [each.axis for each in placed]
    findings = _condition_findings(spec, placed)
    if findings:
        return findings
    places = {each.axis.name: each.location for each in placed}
    try:
        in_order(axes)
    except InvalidSettings as error:
        return [_at(each, places) for each in error.findings]
    alone = spec.design.kind in ALONE
    if not alone:
        findings += _clashes(axes)
    findings += _level_problems(axes, baseline, alone=alone)
    if not _point_problems(PointSettler(baseline, axes), {}):
        for axis in axes:
            findings += _never_active(axis, axes, baseline, alone=alone)
    return [_at(each, places) for each in findings]


def rule_findings(
    rules: Sequence[Rule], axes: Sequence[Axis], baseline: TrainerConfig
) -> list[Finding]:
    """Rules that the baseline itself breaks."""
    point = full_point(SettledPoint(config=baseline, point={}, inactive=()), axes)
    return [
        Finding(
            rule.location,
            f"the baseline itself breaks this rule (`{rule}`); change it under `set`, or "
            "change the rule",
        )
        for rule in rules
        if rule.broken(baseline, point)
    ]


def _at(finding: Finding, places: Mapping[str, Location]) -> Finding:
    """A finding located below an axis' name, moved to where the axis stands."""
    name, *inside = finding.location
    return Finding((*places[str(name)], *inside), finding.message)


def _condition_findings(spec: SweepSpec, placed: Sequence[PlacedAxis]) -> list[Finding]:
    levels: dict[str, list[str] | None] = dict.fromkeys(spec.axes)  # of one that failed: unknown
    levels |= {each.axis.name: [level.name for level in each.axis.levels] for each in placed}
    return [
        finding.under(*each.location, "when")
        for each in placed
        if each.axis.condition is not None
        for finding in condition_findings(each.axis.condition, levels)
    ]


def _clashes(axes: Sequence[Axis]) -> list[Finding]:
    """Settings that two axes change: their combination would depend on the order."""
    findings = []
    for first, second in itertools.combinations(axes, 2):
        if exclusive(first.condition, second.condition):
            continue
        shared = sorted(
            path
            for path in second.paths
            if any(overlap(path, other) for other in first.paths)
            and not _agree(path, first, second)
        )
        if shared:
            message = f"changes {', '.join(shared)}, and so does the axis {first.name}"
            remedy = "in a grid one would undo the other; use design one_factor, or merge them"
            findings.append(Finding((second.name,), f"{message}; {remedy}"))
    return findings


def _agree(path: str, first: Axis, second: Axis) -> bool:
    """Whether every level that touches a setting gives it the same value."""
    if first.domain is not None or second.domain is not None:
        return False
    levels = [*first.levels, *second.levels]
    changes = [
        (other, value)
        for level in levels
        for other, value in level.patch.items()
        if overlap(path, other)
    ]
    return all(change == changes[0] for change in changes)


def _level_problems(axes: Sequence[Axis], baseline: TrainerConfig, *, alone: bool) -> list[Finding]:
    """Levels, or pairs of levels, that make no trainer config where the baseline does."""
    findings: dict[str, Finding] = {}
    settler = PointSettler(baseline, axes)
    known = _point_problems(settler, {})
    broken: set[tuple[str, str]] = set()
    for axis in axes:
        for level in axis.tried_levels:
            for message in _point_problems(settler, {axis.name: level.name}):
                broken.add((axis.name, level.name))
                if message in known:
                    continue
                text = f"level '{level.name}': {message}"
                findings.setdefault(text, Finding((axis.name,), text))
    for point in [] if alone else _pairs(axes):
        if broken.isdisjoint(point.items()):
            for message in _point_problems(settler, point):
                if message in known:
                    continue
                where = ", ".join(f"{name}={level}" for name, level in point.items())
                last = list(point)[-1]
                findings.setdefault(message, Finding((last,), f"{where}: {message}"))
    return list(findings.values())


def _pairs(axes: Sequence[Axis]) -> Iterator[dict[str, str]]:
    """Every pair of levels of two axes, unless they are too many."""
    pairs = list(itertools.combinations(axes, 2))
    if sum(len(one.tried_levels) * len(other.tried_levels) for one, other in pairs) > MOST_PAIRS:
        return
    for first, second in pairs:
        for one, other in itertools.product(first.tried_levels, second.tried_levels):
            yield {first.name: one.name, second.name: other.name}


def _point_problems(settler: PointSettler, point: Mapping[str, str]) -> list[str]:
    try:
        settler.settle(point)
    except InvalidSettings as error:
        return [finding.message for finding in error.findings]
    return []


def _never_active(
    axis: Axis, axes: Sequence[Axis], baseline: TrainerConfig, *, alone: bool
) -> list[Finding]:
    """A condition that holds at no point of the design, where that can be decided."""
    if axis.condition is None:
        return []
    asked = () if alone else tuple(_asked(axis, axes))
    sizes = 1
    for other in asked:
        sizes *= len(other.tried_levels) + 1
    if sizes > MOST_POINTS:
        return []
    settler = PointSettler(baseline, asked)
    choices = [(None, *(level.name for level in other.tried_levels)) for other in asked]
    for levels in itertools.product(*choices):
        point = {
            other.name: level
            for other, level in zip(asked, levels, strict=True)
            if level is not None
        }
        try:
            settled = settler.settle(point)
        except InvalidSettings:
            continue
        if condition_holds(axis.condition, settled.config, {**own_levels(axes), **settled.point}):
            return []
    settings = baseline.model_dump(mode="json")
    there = ", ".join(
        f"{name} is {setting(settings, name)}"
        for name in axis.condition.names()
        if is_setting(name)
    )
    where = "at the baseline, where every other axis of this design stays" if alone else "anywhere"
    reason = f" ({there})" if there and alone else ""
    message = f"never varies: `{axis.condition}` does not hold {where}{reason}"
    return [Finding((axis.name, "when"), message)]


def _asked(axis: Axis, axes: Sequence[Axis]) -> list[Axis]:
    """The axes a condition depends on, those their conditions depend on included."""
    found: list[Axis] = []
    waiting = [axis]
    while waiting:
        current = waiting.pop()
        for other in axes:
            if other is not axis and other not in found and asks_about(current, other):
                found.append(other)
                waiting.append(other)
    return found
