"""From the entries under `axes` to what `search_spaces.axes` resolves.

Sub-spaces become axes with a condition, ranges and mixtures become listed levels where the design
lists levels, and sets of members become the subsets the design asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from infra.field_shapes import entry_type
from infra.findings import Finding, InvalidSettings, Location, hint
from search_spaces.axes import MOST_LEVELS, Axis, resolve_axis
from search_spaces.axis_levels import AxisRequest
from search_spaces.conditions import Comparison, Condition, Constant, Name, both
from search_spaces.members import MOST_IN_EVERY, Subsets, make_member_set
from search_spaces.mixtures import make_mixture
from search_spaces.name_checks import name_findings
from search_spaces.patches import locate
from search_spaces.points import is_setting
from search_spaces.ranges import make_range
from sweep.spec.axis_spec import AxisEntry, AxisSpec
from sweep.spec.design_spec import DesignSpec, kind_for
from trainer.config import TrainerConfig

LISTING = frozenset({"grid", "one_factor", "leave_one_out", "add_one_in", "fractional", "staged"})
"""Kinds of design that combine listed levels; all others draw from ranges as well."""
_SUBSETS: Mapping[str, Subsets] = {"leave_one_out": "all_but_one", "add_one_in": "one_more"}
_TABLES = {"data_mix": "data.weights"}
"""Shipped axes that stand for entries of a table."""
_DEEPEST = 3
"""Sub-spaces within sub-spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedAxis:
    """An axis and where it stands in the sweep file."""

    axis: Axis
    location: Location


def resolve_axes(
    entries: Mapping[str, AxisEntry],
    *,
    design: DesignSpec,
    asked: TrainerConfig | None,
    baseline: TrainerConfig | None,
    findings: list[Finding],
) -> tuple[PlacedAxis, ...]:
    """The axes of a sweep file, sub-spaces after the axis they belong to.

    Args:
        entries: What stands under `axes`.
        design: Its kind, or that of an axis' stage, decides which levels a range or a set has.
        asked: The baseline as written; None when it has problems of its own.
        baseline: What the design compares with, of `reference_of`; None likewise.
        findings: Gets every problem, located in the file.
    """
    resolving = _Resolving(design=design, asked=asked, baseline=baseline, findings=findings)
    return tuple(
        placed
        for name, entry in entries.items()
        for placed in resolving.axes(
            _Entry(path=name, entry=_as_spec(entry), location=("axes", name), bare=entry)
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One entry, perhaps of a sub-space."""

    path: str
    entry: AxisSpec
    location: Location
    bare: AxisEntry
    """As written: a bare list has no key `levels` above its values."""
    condition: Condition | None = None
    inside: str = ""
    """The level whose sub-space it is in."""
    depth: int = 0


def _as_spec(entry: AxisEntry) -> AxisSpec:
    return entry if isinstance(entry, AxisSpec) else AxisSpec(levels=entry)


@dataclass(kw_only=True)
class _Resolving:
    """What every entry is resolved against, and the names given so far."""

    design: DesignSpec
    asked: TrainerConfig | None
    baseline: TrainerConfig | None
    findings: list[Finding]
    taken: set[str] = field(default_factory=set)

    def axes(self, entry: _Entry) -> Iterator[PlacedAxis]:
        """The entry's axis and those of its sub-spaces."""
        try:
            request = replace(
                _request(entry, design=kind_for(self.design, entry.path), asked=self.asked),
                name=self._name(entry),
                path=entry.path,
                condition=entry.condition,
            )
            axis = resolve_axis(request, self.baseline)
        except InvalidSettings as error:
            self.findings += [each.under(*entry.location) for each in error.findings]
            return
        self.findings += self._unknown_sources(entry, axis)
        yield PlacedAxis(axis=axis, location=entry.location)
        for inner in self._inner(entry, axis):
            yield from self.axes(inner)

    def _unknown_sources(self, entry: _Entry, axis: Axis) -> list[Finding]:
        """Sources that members and mixtures bring in; those of listed levels are checked there."""
        key = "members" if axis.members is not None else "mixture"
        if self.asked is None or (axis.members is None and axis.domain is None):
            return []
        known = {finding.message for finding in name_findings(self.asked)}
        messages = [
            finding.message
            for level in axis.tried_levels
            for finding in name_findings(level.applied(self.asked))
        ]
        return [
            Finding((*entry.location, key), message)
            for message in dict.fromkeys(messages)
            if message not in known
        ]

    def _name(self, entry: _Entry) -> str:
        """The path, or the path and the sub-space where another has that name."""
        name = entry.path
        if name in self.taken:
            name = f"{name}/{re.sub(r'[^A-Za-z0-9_.+-]', '_', entry.inside)}"
        self.taken.add(name)
        return name

    def _inner(self, entry: _Entry, axis: Axis) -> Iterator[_Entry]:
        """The axes of the sub-spaces at this axis' levels."""
        for level_name, axes in entry.entry.within.items():
            location = (*entry.location, "within", level_name)
            level = axis.find(level_name)
            if level is None:
                names = [known.name for known in axis.levels]
                message = f"the axis has no level '{level_name}'{hint(level_name, names)}"
                self.findings.append(Finding(location, message))
                continue
            if entry.depth >= _DEEPEST:
                message = f"sub-spaces stand at most {_DEEPEST} deep in one another"
                self.findings.append(Finding(location, message))
                continue
            value = level.patch[axis.name] if is_setting(axis.name) else level.name
            here = Condition(Comparison(Name(axis.name), "==", Constant(value)))
            for path, inner in axes.items():
                yield _Entry(
                    path=path,
                    entry=_as_spec(inner),
                    location=(*location, path),
                    bare=inner,
                    condition=both(entry.condition, here),
                    inside=level_name,
                    depth=entry.depth + 1,
                )


def _request(entry: _Entry, *, design: str, asked: TrainerConfig | None) -> AxisRequest:
    """The request without its name."""
    spec = entry.entry
    plain = AxisRequest(name=entry.path, when=spec.when, question=spec.question)
    if spec.levels is not None:
        location: Location = () if isinstance(entry.bare, list) else ("levels",)
        return replace(plain, levels=spec.levels, location=location)
    if spec.members is not None:
        return _member_request(plain, spec, design, asked)
    if spec.mixture is not None:
        return _mixture_request(plain, spec, design)
    return _range_request(plain, spec, design)


def _range_request(plain: AxisRequest, spec: AxisSpec, design: str) -> AxisRequest:
    assert spec.low is not None
    assert spec.high is not None
    domain = make_range(plain.name, low=spec.low, high=spec.high, log=spec.log)
    if spec.steps is not None or design == "fractional":
        levels = domain.spaced(spec.steps or 2)  # a fraction takes the two ends
        return replace(plain, levels=levels, location=("steps",), made=True)
    _refuse_listing(design, "a range", "steps: 5")
    return replace(plain, domain=domain)


def _mixture_request(plain: AxisRequest, spec: AxisSpec, design: str) -> AxisRequest:
    path = _TABLES.get(plain.name, plain.name)
    domain = make_mixture(path, parts=spec.mixture or (), least=spec.least)
    if spec.steps is None:
        _refuse_listing(design, "a mixture", "steps: 4")
        return replace(plain, domain=domain)
    size = domain.lattice_size(spec.steps)
    if size > MOST_LEVELS:
        message = (
            f"{len(domain.parts)} parts in {spec.steps} steps are {size:,} mixtures, at most "
            f"{MOST_LEVELS:,} can be listed; lower steps, or leave it out and use design random"
        )
        raise InvalidSettings([Finding(("steps",), message)])
    patches = {level.name: level.patch for level in domain.lattice(spec.steps)}
    return replace(plain, levels=patches, location=("mixture",), made=True)


def _refuse_listing(design: str, what: str, example: str) -> None:
    if design in LISTING:
        message = (
            f"design {design} lists levels, and {what} has none to list; add `{example}`, or use "
            "design random or latin_hypercube"
        )
        raise InvalidSettings([Finding((), message)])


def _member_request(
    plain: AxisRequest, spec: AxisSpec, design: str, asked: TrainerConfig | None
) -> AxisRequest:
    table = _TABLES.get(plain.name, plain.name if _is_table(plain.name) else None)
    members = make_member_set(
        spec.members or (),
        table=None if isinstance(spec.members, dict) else table,
        always=spec.always,
        baseline=asked or TrainerConfig(),
    )
    subsets = _SUBSETS.get(design, "every")
    if (subsets == "one_more" or design == "fractional") and members.needs_one:
        nothing = "adding one to nothing" if subsets == "one_more" else "a fraction with all out"
        message = (
            f"{nothing} would train on no data; name what is always in, such as "
            f"`always: [{members.names[0]}]`"
        )
        raise InvalidSettings([Finding(("members",), message)])
    if subsets == "every" and len(members.free) > MOST_IN_EVERY:
        message = (
            f"{len(members.free)} members have {2 ** len(members.free):,} subsets, at most "
            f"{MOST_IN_EVERY} members can be combined freely; use design leave_one_out or "
            "add_one_in"
        )
        raise InvalidSettings([Finding(("members",), message)])
    patches = {level.name: level.patch for level in members.levels(subsets)}
    return replace(plain, levels=patches, location=("members",), members=members, made=True)


def _is_table(path: str) -> bool:
    try:
        return entry_type(locate(path).shape) is not None
    except InvalidSettings:
        return False


def reference_of(
    design: DesignSpec, entries: Mapping[str, AxisEntry], asked: TrainerConfig
) -> TrainerConfig:
    """The config a design compares with: every set full (leave one out) or bare (add one in).

    Raises:
        InvalidSettings: If a set cannot be made; its axis says so again with its place.
    """
    baseline = asked
    for name, entry in entries.items():
        kind = kind_for(design, name)
        if kind in _SUBSETS and isinstance(entry, AxisSpec) and entry.members is not None:
            request = _member_request(AxisRequest(name=name), entry, kind, asked)
            assert request.members is not None
            chosen = request.members.free if kind == "leave_one_out" else ()
            baseline = request.members.subset(chosen).applied(baseline)
    return baseline
