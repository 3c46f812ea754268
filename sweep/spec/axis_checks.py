"""What can be wrong between axes: conditions, clashes, and backbones that do not exist."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from infra.findings import Finding, InvalidSettings
from search_spaces.axes import Axis
from search_spaces.patches import setting
from search_spaces.points import (
    asks_about,
    condition_findings,
    condition_holds,
    in_order,
    is_setting,
    overlap,
    settle_point,
)
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig

MOST_POINTS = 5_000
"""A condition over more combinations than this is not proven to be reachable."""


def axes_findings(spec: SweepSpec, axes: Sequence[Axis], baseline: TrainerConfig) -> list[Finding]:
    """Problems of resolved axes with each other, located in the sweep file."""
    findings = _condition_findings(spec, axes)
    if findings:
        return findings
    try:
        in_order(axes)
    except InvalidSettings as error:
        return [each.under("axes") for each in error.findings]
    alone = spec.design.kind == "one_factor"
    if not alone:
        findings += _clashes(axes)
    findings += _level_problems(axes, baseline, alone=alone)
    for axis in axes:
        findings += _never_active(axis, axes, baseline, alone=alone)
    return findings


def _condition_findings(spec: SweepSpec, axes: Sequence[Axis]) -> list[Finding]:
    failed = spec.axes.keys() - {axis.name for axis in axes}  # their levels are not known
    levels = {axis.name: [level.name for level in axis.levels] for axis in axes}
    return [
        finding.under("axes", axis.name, "when")
        for axis in axes
        if axis.condition is not None and failed.isdisjoint(axis.condition.names())
        for finding in condition_findings(axis.condition, levels)
    ]


def _clashes(axes: Sequence[Axis]) -> list[Finding]:
    """Settings that two axes change: their combination would depend on the order."""
    findings = []
    for first, second in itertools.combinations(axes, 2):
        shared = sorted(
            path
            for path in second.paths
            if any(overlap(path, other) for other in first.paths)
            and not _agree(path, first, second)
        )
        if shared:
            message = f"changes {', '.join(shared)}, and so does the axis {first.name}"
            remedy = "in a grid one would undo the other; use design one_factor, or merge them"
            findings.append(Finding(("axes", second.name), f"{message}; {remedy}"))
    return findings


def _agree(path: str, first: Axis, second: Axis) -> bool:
    """Whether every level that touches a setting gives it the same value."""
    levels = [*first.levels, *second.levels]
    changes = [
        (other, value)
        for level in levels
        for other, value in level.patch.items()
        if overlap(path, other)
    ]
    return all(change == changes[0] for change in changes)


def _level_problems(axes: Sequence[Axis], baseline: TrainerConfig, *, alone: bool) -> list[Finding]:
    """Levels, or pairs of levels, that make no trainer config."""
    findings: dict[str, Finding] = {}
    broken: set[tuple[str, str]] = set()
    for axis in axes:
        for level in axis.levels:
            for message in _point_problems(axes, baseline, {axis.name: level.name}):
                broken.add((axis.name, level.name))
                text = f"level '{level.name}': {message}"
                findings.setdefault(text, Finding(("axes", axis.name), text))
    pairs = [] if alone else itertools.combinations(axes, 2)
    for point in itertools.chain.from_iterable(_pairs(*pair) for pair in pairs):
        if broken.isdisjoint(point.items()):
            for message in _point_problems(axes, baseline, point):
                where = ", ".join(f"{name}={level}" for name, level in point.items())
                last = list(point)[-1]
                findings.setdefault(message, Finding(("axes", last), f"{where}: {message}"))
    return list(findings.values())


def _pairs(first: Axis, second: Axis) -> Iterator[dict[str, str]]:
    for one, other in itertools.product(first.levels, second.levels):
        yield {first.name: one.name, second.name: other.name}


def _point_problems(
    axes: Sequence[Axis], baseline: TrainerConfig, point: Mapping[str, str]
) -> list[str]:
    try:
        settle_point(baseline, axes, point)
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
        sizes *= len(other.levels) + 1
    if sizes > MOST_POINTS:
        return []
    choices = [(None, *(level.name for level in other.levels)) for other in asked]
    for levels in itertools.product(*choices):
        point = {
            other.name: level
            for other, level in zip(asked, levels, strict=True)
            if level is not None
        }
        try:
            settled = settle_point(baseline, asked, point)
        except InvalidSettings:
            continue
        if condition_holds(axis.condition, settled.config, settled.point):
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
    return [Finding(("axes", axis.name, "when"), message)]


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
