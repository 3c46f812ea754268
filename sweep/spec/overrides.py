"""`--set a.b=c`: values put into a sweep file before it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from infra.errors import Problem, SpecError
from infra.findings import Finding, InvalidSettings, Location, described, dotted, hint
from infra.yaml_source import YamlDocument, read_value
from search_spaces.patches import setting_paths
from sweep.spec.axis_spec import AxisSpec
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig

_FREE = (("axes",), ("set",), ("baseline",))
"""Tables whose keys may hold dots."""


def apply_overrides(document: YamlDocument, overrides: Sequence[str]) -> YamlDocument:
    """The document with every `path=value` put in; values are read as YAML, nothing is null.

    Raises:
        SpecError: With every override that is not `path=value` or leads nowhere.
    """
    lines, overridden = dict(document.source.lines), dict(document.source.overridden)
    problems: list[Problem] = []
    for override in overrides:
        try:
            location = _apply(document.data, override)
        except SpecError as error:
            problems += [Problem(f"--set {override}", each.message) for each in error.problems]
            continue
        for inner in [place for place in lines if place[: len(location)] == location]:
            del lines[inner]
        overridden[location] = override
    if problems:
        raise SpecError(document.source.name, problems)
    source = replace(document.source, lines=lines, overridden=overridden)
    return YamlDocument(data=document.data, source=source)


def parse_override(override: str) -> tuple[str, Any]:
    """Path and value of a `path=value`.

    Raises:
        SpecError: If it is not of that form, or the value is no YAML.
    """
    path, equals, text = override.partition("=")
    path = path.strip()
    if not equals or not path or not all(path.split(".")):
        message = "expected path=value, such as budget.hours=2"
        raise SpecError(f"--set {override}", [Problem("", message)])
    return path, read_value(text, f"--set {override}")


def _apply(data: dict[str, Any], override: str) -> Location:
    path, value = parse_override(override)
    _check_top(path)
    here: Any = data
    location: Location = ()
    rest = path
    while True:
        if not isinstance(here, dict):
            raise _finding(_not_a_mapping(location, here, path))
        key, rest = _next_key(here, location, rest)
        location = (*location, key)
        if not rest:
            here.pop(key, None)  # put last, so that it wins over an equal setting spelled otherwise
            here[key] = value
            return location
        here = here.setdefault(key, {})


def _next_key(here: dict[str, Any], location: Location, rest: str) -> tuple[str, str]:
    """The longest key that is there already, else what the place lets a key be."""
    parts = rest.split(".")
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if key in here:
            return key, ".".join(parts[length:])
    if location == ("axes",) and len(parts) > 1 and parts[-1] in AxisSpec.model_fields:
        return ".".join(parts[:-1]), parts[-1]
    if location in _FREE:
        return rest, ""
    return parts[0], ".".join(parts[1:])


def _check_top(path: str) -> None:
    top = path.partition(".")[0]
    if top in SweepSpec.model_fields:
        return
    if top in TrainerConfig.model_fields:
        raise _finding(f"'{path}' is a setting of the baseline; write set.{path}=...")
    names = [*SweepSpec.model_fields, *(f"set.{name}" for name in setting_paths())]
    raise _finding(f"unknown key '{top}'{hint(top, names)}")


def _not_a_mapping(location: Location, here: object, path: str) -> str:
    message = f"{dotted(location)} is {described(here)}, it holds no keys"
    if location == ("baseline",):
        return f"{message}; write set.{path.removeprefix('baseline.')}=..."
    return f"{message}; give it whole: {dotted(location)}=..."


def _finding(message: str) -> InvalidSettings:
    return InvalidSettings([Finding((), message)])
