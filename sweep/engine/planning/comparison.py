"""What differs between two sweeps: what they ask for, and which trainings they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sweep.records.content import asked

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that is not the same in both."""

    path: str
    """Dotted, such as `axes.head.layers.levels`."""
    before: object
    """None where it was absent."""
    after: object
    kind: Literal["added", "removed", "changed"]

    def __str__(self) -> str:
        if self.kind == "added":
            return f"{self.path}: added {_shown(self.after)}"
        if self.kind == "removed":
            return f"{self.path}: no longer {_shown(self.before)}"
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTrials:
    """Which trainings two sweeps have in common."""

    both: tuple[str, ...]
    """Identities, in the order of the first."""
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def spec_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Every setting in which two written-out sweep files differ, in the order of the first.

    Args:
        before: `SweepSpec` as plain values.
        after: Likewise.
    """
    first, second = dict(_leaves(before)), dict(_leaves(after))
    changes = []
    for path in dict.fromkeys((*first, *second)):
        old, new = first.get(path, _ABSENT), second.get(path, _ABSENT)
        if old is _ABSENT:
            changes.append(Change(path=path, before=None, after=new, kind="added"))
        elif new is _ABSENT:
            changes.append(Change(path=path, before=old, after=None, kind="removed"))
        elif old != new:
            changes.append(Change(path=path, before=old, after=new, kind="changed"))
    return changes


def asked_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """As `spec_changes`, without names, words, places, machines and budget."""
    return [each for each in spec_changes(asked(before), asked(after)) if each.path != "name"]


def shared_trials(first: Iterable[str], second: Iterable[str]) -> SharedTrials:
    """Which identities two sweeps share."""
    one, other = dict.fromkeys(first), dict.fromkeys(second)
    return SharedTrials(
        both=tuple(identity for identity in one if identity in other),
        only_first=tuple(identity for identity in one if identity not in other),
        only_second=tuple(identity for identity in other if identity not in one),
    )


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Settings by dotted path; lists are one setting, absent ones are left out."""
    for key, entry in value.items():
        path = f"{prefix}{key}"
        if isinstance(entry, Mapping) and entry:
            yield from _leaves(entry, f"{path}.")
        elif isinstance(entry, Sequence) and not isinstance(entry, str) and prefix == "axes.":
            yield f"{path}.levels", list(entry)  # a bare list of levels
        elif entry is not None and entry not in ({}, []):
            yield path, entry


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_shown(entry) for entry in value)}]"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
