"""`MemberSet`: an axis whose levels are subsets, such as which data sources or tricks are used.

Every level says of each setting its members touch what it is, so that leaving a member out brings
back what the sweep's baseline had before. Which subsets are levels follows from the design: all
but one, one more than none, or every one.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.field_shapes import entry_type
from infra.findings import Finding, InvalidSettings, hint
from search_spaces.levels import Level
from search_spaces.patches import Patch, locate, setting
from trainer.config import TrainerConfig

Subsets = Literal["all_but_one", "one_more", "every"]
MOST_IN_EVERY = 10
"""Members of which every subset is listed; a thousand levels are more than anybody reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSet:
    """Members, each in or out."""

    names: tuple[str, ...]
    always: tuple[str, ...]
    """Those that are never left out."""
    table: str | None
    """The table members are entries of; None when they are named patches."""
    settings: Mapping[str, Mapping[str, Any]]
    """By member: its weight under its name, or the settings of its patch."""
    outside: Mapping[str, Any]
    """What the settings of patches are where no member changes them."""

    @property
    def free(self) -> tuple[str, ...]:
        """Members that may be left out."""
        return tuple(name for name in self.names if name not in self.always)

    def subset(self, chosen: Collection[str]) -> Level:
        """The level at which these members are in, and those that always are."""
        inside = [name for name in self.names if name in chosen or name in self.always]
        settings: dict[str, Any] = dict(self.outside)
        for name in inside:
            settings.update(self.settings[name])
        patch = settings if self.table is None else {self.table: settings}
        return Level(name=self._name(inside), patch=patch)

    def levels(self, which: Subsets) -> Iterator[Level]:
        """The levels a design asks for, the reference first where it has one."""
        if which == "all_but_one":
            yield self.subset(self.free)
            for name in self.free:
                yield self.subset([other for other in self.free if other != name])
        elif which == "one_more":
            yield self.subset(())
            for name in self.free:
                yield self.subset((name,))
        else:
            sizes = range(int(self.needs_one), len(self.free) + 1)
            for size in sizes:
                for chosen in itertools.combinations(self.free, size):
                    yield self.subset(chosen)

    @property
    def needs_one(self) -> bool:
        """Whether no member at all is no valid level."""
        return self.table is not None and not self.always

    def _name(self, inside: Sequence[str]) -> str:
        out = [name for name in self.names if name not in inside]
        if not out:
            return "all"
        if not inside:
            return "none"
        if len(out) == 1 and len(inside) > 1:
            return f"without-{out[0]}"
        return "+".join(inside)


def make_member_set(
    members: Sequence[str] | Mapping[str, Patch],
    *,
    table: str | None,
    always: Sequence[str],
    baseline: TrainerConfig,
) -> MemberSet:
    """The members of an axis.

    Args:
        members: Entries of `table`, or named patches.
        table: A setting that is a table of numbers; an entry's weight is the baseline's, else 1.
        always: Members that are never left out.
        baseline: What a left-out patch goes back to.

    Raises:
        InvalidSettings: If there are fewer than two, one stands twice, two change the same
            setting, or `always` leaves nothing to leave out.
    """
    findings = _name_findings(list(members), always)
    if isinstance(members, Mapping):
        findings += _clash_findings(members)
    elif table is None or entry_type(locate(table).shape) is None:
        message = "members of this axis must be named patches: {name: {setting: value}}"
        findings.append(Finding(("members",), message))
    if findings:
        raise InvalidSettings(findings)
    settings = baseline.model_dump(mode="json")
    if isinstance(members, Mapping):
        touched = dict.fromkeys(path for patch in members.values() for path in patch)
        return MemberSet(
            names=tuple(members),
            always=tuple(always),
            table=None,
            settings=members,
            outside={path: setting(settings, path) for path in touched},
        )
    known: Mapping[str, float] = setting(settings, str(table)) or {}
    return MemberSet(
        names=tuple(members),
        always=tuple(always),
        table=table,
        settings={name: {name: known.get(name) or 1} for name in members},
        outside={},
    )


def _name_findings(names: Sequence[str], always: Sequence[str]) -> list[Finding]:
    findings = []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        findings.append(Finding(("members",), f"'{twice[0]}' stands here twice; keep one"))
    if len(names) < 2:
        message = f"expected at least two members, came {len(names)}"
        findings.append(Finding(("members",), message))
    findings += [
        Finding(("always", index), f"'{name}' is no member{hint(name, names)}")
        for index, name in enumerate(always)
        if name not in names
    ]
    if names and set(names) <= set(always):
        findings.append(Finding(("always",), "every member is always in, so nothing varies"))
    return findings


def _clash_findings(members: Mapping[str, Patch]) -> list[Finding]:
    findings = []
    changed_by: dict[str, str] = {}
    for name, patch in members.items():
        if not patch:
            findings.append(Finding(("members", name), "the member changes nothing"))
        for path in patch:
            try:
                locate(path)
            except InvalidSettings as error:
                findings += [each.under("members", name, path) for each in error.findings]
                continue
            if path in changed_by:
                message = f"changes {path}, and so does the member {changed_by[path]}"
                remedy = "members must be free to be in or out on their own"
                findings.append(Finding(("members", name, path), f"{message}; {remedy}"))
            changed_by.setdefault(path, name)
    return findings
