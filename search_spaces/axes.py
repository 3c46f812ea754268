"""`Axis`: one thing a sweep varies, its levels as patches; made from what a sweep file asks for.

The name of an axis is that of a shipped axis (levels by name), a dotted path of the trainer config
(levels are values), or any other name whose levels are patches. An axis without a level equal to
the baseline is compared with the baseline as an extra reference arm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infra.findings import Finding, InvalidSettings, Location
from search_spaces.axis_levels import AxisRequest, asked_levels, level_findings
from search_spaces.catalog import AXES, setting_condition
from search_spaces.condition_parser import parse_condition
from search_spaces.conditions import Condition, both
from search_spaces.levels import Level, training_text
from search_spaces.members import MemberSet
from search_spaces.mixtures import Mixture
from search_spaces.patches import setting
from search_spaces.ranges import Range
from trainer.config import TrainerConfig

MOST_LEVELS = 1_000
"""More levels on one axis are refused: nobody reads them, and a range says them shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing that varies."""

    name: str
    levels: tuple[Level, ...]
    """All of them; of a domain only the baseline's own."""
    condition: Condition | None = None
    """When the axis matters; at points where it does not hold the baseline's settings stay."""
    question: str = ""
    domain: Range | Mixture | None = None
    """What it may be where levels are drawn and not listed."""
    members: MemberSet | None = None
    """What its levels are subsets of."""

    @property
    def baseline_level(self) -> Level | None:
        """The level that is the baseline's own; None when the baseline is an extra arm."""
        return next((level for level in self.levels if level.is_baseline), None)

    @property
    def paths(self) -> frozenset[str]:
        """Every setting one of its levels changes."""
        domain = () if self.domain is None else (self.domain.path,)
        return frozenset((*(path for level in self.levels for path in level.patch), *domain))

    @property
    def tried_levels(self) -> tuple[Level, ...]:
        """Its levels, or the ends between which they are drawn: if these are valid, all are."""
        return self.levels if self.domain is None else self.domain.corners()

    def find(self, name: str) -> Level | None:
        """The level of that name, listed or drawn; None when the axis has none."""
        for level in self.levels:
            if level.name == name:
                return level
        return None if self.domain is None else self.domain.level(name)

    def level(self, name: str) -> Level:
        """The level of that name. Raises `KeyError` when the axis has none."""
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        return found


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
    if request.domain is not None:
        levels = _own_level(request.domain, baseline, findings)
    elif len(request.levels) > MOST_LEVELS:
        message = f"expected at most {MOST_LEVELS:,} levels, came {len(request.levels):,}"
        findings.append(Finding(request.location, f"{message}; give low and high instead"))
    else:
        levels = _checked_levels(request, baseline, condition, findings)
    if findings:
        raise InvalidSettings(findings, f"axis {request.name}")
    return Axis(
        name=request.name,
        levels=tuple(levels),
        condition=condition,
        question=request.question or "",
        domain=request.domain,
        members=request.members,
    )


def _condition(request: AxisRequest, findings: list[Finding]) -> Condition | None:
    """What the file says, and what is known of the setting or the shipped axis besides."""
    condition = request.condition
    if request.when is not None:
        try:
            condition = both(condition, parse_condition(request.when))
        except InvalidSettings as error:
            findings += [finding.under("when") for finding in error.findings]
    if isinstance(request.levels, Mapping) and request.domain is None:
        return condition
    shipped = AXES.get(request.path)
    if shipped is not None:
        known = parse_condition(shipped.when) if shipped.when else None
    else:
        known = setting_condition(request.path)
    return both(condition, known)


def _own_level(
    domain: Range | Mixture, baseline: TrainerConfig | None, findings: list[Finding]
) -> list[Level]:
    """The baseline's own level of a domain, which must hold it."""
    if baseline is None:
        return []
    here = setting(baseline.model_dump(mode="json"), domain.path)
    if not domain.contains(here):
        message = (
            f"the baseline's {domain.path} ({here}) lies outside its own axis ({domain}); change "
            "the baseline under `set`, or widen the axis"
        )
        findings.append(Finding((), message))
        return []
    if isinstance(domain, Range):
        return [replace(domain.at(here), is_baseline=True)]
    total = sum(here.values())
    shares = "+".join(f"{part}:{here[part] / total:.3g}" for part in domain.parts if here.get(part))
    return [Level(name=shares, patch={domain.path: here}, is_baseline=True)]


def _checked_levels(
    request: AxisRequest,
    baseline: TrainerConfig | None,
    condition: Condition | None,
    findings: list[Finding],
) -> list[Level]:
    levels: list[Level] = []
    placed: dict[str, Location] = {}
    reference = baseline or TrainerConfig()
    for location, level in asked_levels(request, baseline, findings):
        if level.name in placed:
            findings.append(Finding(location, f"the level '{level.name}' stands here twice"))
            continue
        problems = level_findings(level, location, reference, request)
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
    return levels


def _with_baseline_marked(
    levels: list[Level], baseline: TrainerConfig, condition: Condition | None
) -> list[Level]:
    own = _sameness(baseline, condition)
    return [
        replace(level, is_baseline=_sameness(level.applied(baseline), condition) == own)
        for level in levels
    ]


def _sameness(config: TrainerConfig, condition: Condition | None) -> str:
    """Equal for configs that are one level."""
    # A conditional setting may train nothing at the baseline, so its bare values are compared.
    return config.model_dump_json() if condition is not None else training_text(config)


def _equal_levels(
    levels: Sequence[Level],
    placed: Mapping[str, Location],
    baseline: TrainerConfig,
    condition: Condition | None,
) -> list[Finding]:
    findings = []
    seen: dict[str, str] = {}
    for level in levels:
        same = _sameness(level.applied(baseline), condition)
        if same in seen:
            message = (
                f"the levels '{seen[same]}' and '{level.name}' train the same weights; keep one"
            )
            findings.append(Finding(placed[level.name], message + _machine_note(level)))
        seen.setdefault(same, level.name)
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
        "domain": str(axis.domain) if axis.domain is not None else None,
        "when": str(axis.condition) if axis.condition is not None else None,
        "question": axis.question,
    }
