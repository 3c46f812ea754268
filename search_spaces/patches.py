"""Patches: changes to a `TrainerConfig` by dotted path, checked against its shape.

A mapping given to a section (`head: {layers: 3}`) changes the settings it names; a mapping given to
a table (`data.weights: {scenes: 1}`) replaces the table, and `data.weights.digits: 0.2` changes one
entry of it. Later keys win over earlier ones.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from infra.field_shapes import entry_type, section
from infra.findings import Finding, InvalidSettings, Location, dotted, hint, validate
from trainer.config import TrainerConfig

Patch = Mapping[str, Any]
"""Settings by dotted path, such as `{"backbone.scale": "xs"}`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dotted path leads inside the settings."""

    location: Location
    """Keys from the top; a table's key may hold dots."""
    shape: object
    """Type expression of what stands there; `Any` inside free settings."""


@dataclass(frozen=True, slots=True)
class _Change:
    place: Place
    value: object
    written: Location
    """Where in the patch it was written."""


def apply_patch(config: TrainerConfig, patch: Patch) -> TrainerConfig:
    """The config with the patch's settings changed.

    Raises:
        InvalidSettings: With every unknown path and wrong value, located inside the patch.
    """
    changes, findings = _changes(patch)
    settings: dict[str, Any] = config.model_dump(mode="json")
    for change in changes:
        try:
            _set(settings, change)
        except InvalidSettings as error:
            findings += error.findings
    try:
        changed = validate(TrainerConfig, settings)
    except InvalidSettings as error:
        findings += [_in_patch(finding, changes) for finding in error.findings]
        raise InvalidSettings(findings) from error
    if findings:
        raise InvalidSettings(findings)
    return changed


def patched_section(section_model: BaseModel, name: str, patch: Patch) -> BaseModel:
    """One section of a config with a patch's settings changed; `apply_patch` without the rest.

    Raises:
        InvalidSettings: If the patch does not fit the section alone; `apply_patch` says it better.
    """
    changes, findings = _changes(patch)
    if findings:
        raise InvalidSettings(findings)
    settings: dict[str, Any] = {name: section_model.model_dump(mode="json")}
    for change in changes:
        _set(settings, change)
    return validate(type(section_model), settings[name])


@functools.lru_cache(maxsize=4096)
def locate(path: str) -> Place:
    """Where a dotted path leads.

    Raises:
        InvalidSettings: If no setting has that path; names the nearest one that exists.
    """
    parts = path.split(".")
    location: list[str | int] = []
    shape: object = TrainerConfig
    while parts:
        if (model := section(shape)) is not None:
            name = parts.pop(0)
            if name not in model.model_fields:
                raise InvalidSettings([Finding((), _unknown(path))])
            shape = model.model_fields[name].annotation
        elif shape is Any:
            name = parts.pop(0)
        elif (entry := entry_type(shape)) is not None:
            # Names in a table of plain values may hold dots, such as a source called `v1.2`.
            name = parts.pop(0) if section(entry) or entry is Any else ".".join(parts)
            parts = parts if section(entry) or entry is Any else []
            shape = entry
        else:
            whole = ".".join(str(part) for part in location)
            message = f"unknown setting '{path}': {whole} is a single value, it holds no settings"
            raise InvalidSettings([Finding((), message)])
        if not name:
            raise InvalidSettings([Finding((), _unknown(path))])
        location.append(name)
    return Place(tuple(location), shape)


def setting(settings: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 -- any setting
    """What stands at a path in dumped settings; None for an entry its table lacks.

    Raises:
        InvalidSettings: If no setting has that path.
    """
    here: Any = settings
    for part in locate(path).location:
        here = here.get(part) if isinstance(here, Mapping) else None
    return here


def setting_in(config: TrainerConfig, path: str) -> Any:  # noqa: ANN401 -- any setting
    """What stands at a path of a config; None for an entry its table lacks.

    Raises:
        InvalidSettings: If no setting has that path.
    """
    return inside(config, locate(path).location)


def inside(here: Any, location: Location) -> Any:  # noqa: ANN401 -- any setting
    """What stands at a location in a model or a table; None where there is nothing."""
    for part in location:
        if isinstance(here, BaseModel):
            here = getattr(here, str(part))
        else:
            here = here.get(part) if isinstance(here, Mapping) else None
    return here


@functools.cache
def setting_paths() -> tuple[str, ...]:
    """Every dotted path of the trainer config, sections before their settings."""
    return tuple(_paths(TrainerConfig, ""))


def _paths(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if (inner := section(field.annotation)) is not None:
            yield from _paths(inner, f"{prefix}{name}.")


def _unknown(path: str) -> str:
    return f"unknown setting '{path}'{hint(path, setting_paths())}"


def _changes(patch: Patch) -> tuple[list[_Change], list[Finding]]:
    changes: list[_Change] = []
    findings: list[Finding] = []
    for path, value, written in _expanded(patch, "", ()):
        try:
            place = locate(path)
        except InvalidSettings as error:
            findings += [finding.under(*written) for finding in error.findings]
            continue
        changes.append(_Change(place, value, written))
    return changes, findings


def _expanded(
    patch: Patch, prefix: str, written: Location
) -> Iterator[tuple[str, object, Location]]:
    """Mappings given to sections, opened into one path per setting."""
    for key, value in patch.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and _is_section(path):
            yield from _expanded(value, f"{path}.", (*written, key))
        else:
            yield path, value, (*written, key)


def _is_section(path: str) -> bool:
    try:
        return section(locate(path).shape) is not None
    except InvalidSettings:
        return False


def _set(settings: dict[str, Any], change: _Change) -> None:
    *outer, last = change.place.location
    here: Any = settings
    for part in outer:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            message = f"'{part}' is {here!r}, it holds no settings; give it whole"
            raise InvalidSettings([Finding(change.written, message)])
    here[last] = change.value


def _in_patch(finding: Finding, changes: list[_Change]) -> Finding:
    """A finding about settings, moved to the place in the patch that caused it."""
    for change in reversed(changes):
        where = change.place.location
        if finding.location[: len(where)] == where:
            return Finding((*change.written, *finding.location[len(where) :]), finding.message)
    message = finding.message
    if finding.location:
        message = f"{dotted(finding.location)}: {message}"
    for change in reversed(changes):
        # A missing neighbour of what was written, or a clash inside a section it belongs to.
        if finding.location and change.place.location[0] == finding.location[0]:
            return Finding(change.written, message)
    return Finding((), message)
