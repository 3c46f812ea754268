"""The levels a sweep file asks for on one axis, as patches, each checked on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.field_shapes import section
from infra.findings import Finding, InvalidSettings, Location, hint
from search_spaces.catalog import AXES
from search_spaces.conditions import Condition
from search_spaces.levels import Level, value_name
from search_spaces.members import MemberSet
from search_spaces.mixtures import Mixture
from search_spaces.name_checks import name_findings
from search_spaces.patches import Patch, locate, setting_paths
from search_spaces.ranges import Range
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
class AxisRequest:
    """One entry under `axes` of a sweep file."""

    name: str
    levels: Sequence[Scalar] | Mapping[str, Patch] = ()
    when: str | None = None
    question: str | None = None
    location: Location = ("levels",)
    """Where the levels stand below the axis' name; empty when they were given alone."""
    path: str = ""
    """The setting or shipped axis; the name when empty. Sub-spaces may name one twice."""
    condition: Condition | None = None
    """Beside `when`: the level of the axis it is a sub-space of."""
    domain: Range | Mixture | None = None
    """What levels are drawn from; it has none listed then."""
    members: MemberSet | None = None
    """What the levels are subsets of."""
    made: bool = False
    """The levels were made from something shorter; they stand nowhere in the file."""

    def __post_init__(self) -> None:
        if not self.path:
            object.__setattr__(self, "path", self.name)


def asked_levels(
    request: AxisRequest, baseline: TrainerConfig | None, findings: list[Finding]
) -> Iterator[tuple[Location, Level]]:
    """Every level and where it stands; what cannot be a level is added to the findings."""
    if not _NAME.fullmatch(request.path):
        message = "expected an axis name of letters, digits, '.', '_', '+', '-'"
        findings.append(Finding((), f"{message}, came {request.name!r}"))
        return
    if isinstance(request.levels, Mapping):
        for name, patch in request.levels.items():
            place = request.location if request.made else (*request.location, name)
            yield place, Level(name=name, patch=dict(patch))
    elif request.path not in AXES:
        yield from _values(request, findings)
    elif baseline is not None:
        yield from _shipped(request, request.levels, baseline, findings)


def level_findings(
    level: Level, location: Location, baseline: TrainerConfig, request: AxisRequest
) -> list[Finding]:
    """What is wrong with one level on its own."""
    findings = []
    if not request.made and not _LEVEL_NAME.fullmatch(level.name):
        message = "expected a level name of 1 to 100 characters without '=', ',' or '|'"
        findings.append(Finding(location, f"{message}, came {level.name!r}"))
    named = isinstance(request.levels, Mapping) and not request.made
    for path in level.patch:
        top = path.partition(".")[0]
        if top in NOT_TO_VARY:
            findings.append(Finding((*location, path) if named else location, NOT_TO_VARY[top]))
    try:
        sources = [finding.message for finding in name_findings(level.applied(baseline))]
        known = [finding.message for finding in name_findings(baseline)]
        findings += [Finding(location, message) for message in sources if message not in known]
    except InvalidSettings as error:
        for finding in error.findings:
            inner = finding.location if named else finding.location[1:]
            findings.append(Finding((*location, *inner), finding.message))
    return findings


def _shipped(
    request: AxisRequest, names: Sequence[Scalar], baseline: TrainerConfig, findings: list[Finding]
) -> Iterator[tuple[Location, Level]]:
    """Levels by the names the shipped axis gives them."""
    shipped = AXES[request.path]
    for index, value in enumerate(names):
        location = (*request.location, index)
        found = shipped.level(value, baseline) if isinstance(value, str) else None
        if found is None:
            known = [level.name for level in shipped.levels(baseline)]
            near = hint(value_name(value), known)
            message = f"unknown level {value_name(value)!r} of the axis {request.path}{near}"
            findings.append(Finding(location, message))
        else:
            yield location, found


def _values(request: AxisRequest, findings: list[Finding]) -> Iterator[tuple[Location, Level]]:
    """Values of the setting the axis is named after."""
    try:
        shape = locate(request.path).shape
    except InvalidSettings:
        near = hint(request.path, [*AXES, *setting_paths()])
        message = (
            f"'{request.path}' is neither a shipped axis nor a setting, so its levels must be "
        )
        findings.append(Finding((), f"{message}named patches{near}"))
        return
    if section(shape) is not None:
        message = f"'{request.path}' is a section; name one of its settings, or give named patches"
        findings.append(Finding((), message))
        return
    for index, value in enumerate(request.levels):
        location = (*request.location, index)
        yield location, Level(name=value_name(value), patch={request.path: value})
