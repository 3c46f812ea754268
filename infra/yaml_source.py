"""YAML text into plain values that know their lines.

Scalars follow YAML 1.2's core schema, which is what editors assume: `1e-3` is a number, `yes` and
`12:30` are text. Integral numbers become whole numbers, as they do in identities. Whatever the
text holds (duplicate keys, tabs, cycles, custom tags), it ends in values or in findings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from infra.errors import Problem, SpecError
from infra.findings import Finding, Location, dotted

MOST_CHARACTERS = 100_000
MOST_VALUES = 50_000
DEEPEST = 40
LARGEST_NUMBER = 2**63
_CORE_TAG = "tag:yaml.org,2002:"
_NO_LINES: Mapping[Location, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where settings were read from, so that a problem can name its line."""

    name: str
    folder: Path | None = None
    """Where files the settings name are looked for first."""
    lines: Mapping[Location, int] = field(default_factory=lambda: _NO_LINES)
    """Line of every key and list entry, from 1."""
    overridden: Mapping[Location, str] = field(default_factory=dict)
    """The command-line override a value came from."""
    files: Mapping[Location, str] = field(default_factory=dict)
    """The file a line is of, where that is another."""

    def problem(self, finding: Finding) -> Problem:
        """The finding with its line, or with the override it came from."""
        path = dotted(finding.location)
        for length in range(len(finding.location), -1, -1):
            here = finding.location[:length]
            if here in self.overridden:
                return Problem(path, f"{finding.message} (from --set {self.overridden[here]})")
            if here in self.lines:
                return Problem(path, finding.message, self.lines[here], self.files.get(here))
        return Problem(path, finding.message)

    def error(self, findings: list[Finding]) -> SpecError:
        """All findings as one error, in the order of their lines."""
        problems = dict.fromkeys(self.problem(finding) for finding in findings)
        ordered = sorted(problems, key=lambda problem: (problem.file or "", problem.line or 0))
        return SpecError(self.name, ordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """A mapping of plain values and where each came from."""

    data: dict[str, Any]
    source: Source


def read_yaml(text: str, name: str, *, folder: Path | None = None) -> YamlDocument:
    """The one mapping a YAML text holds.

    Args:
        text: The whole file.
        name: How messages call the file.
        folder: The file's own.

    Raises:
        SpecError: If the text is no YAML, holds no mapping, or says something twice.
    """
    if len(text) > MOST_CHARACTERS:
        message = f"expected at most {MOST_CHARACTERS} characters, came {len(text)}"
        raise SpecError(name, [Problem("", message)])
    root = _compose(text, name)
    reader = _Reader()
    data = reader.value(root, ()) if root is not None else None
    source = Source(name=name, folder=folder, lines=reader.lines)
    if reader.findings:
        raise source.error(reader.findings)
    if not isinstance(data, dict) or not data:
        came = "an empty file" if root is None else f"a {type(data).__name__} at the top"
        message = f"expected a mapping of settings such as `name: my-sweep`, came {came}"
        raise SpecError(name, [Problem("", message, 1)])
    return YamlDocument(data=data, source=source)


def read_value(text: str, name: str) -> Any:  # noqa: ANN401 -- any plain value
    """The plain value of a short YAML text, as after `=` of an override; nothing is null.

    Raises:
        SpecError: If it is no YAML.
    """
    root = _compose(text, name)
    reader = _Reader()
    value = reader.value(root, ()) if root is not None else None
    if reader.findings:
        raise Source(name=name).error(reader.findings)
    return value


class _CoreLoader(yaml.SafeLoader):
    """Composes nodes with YAML 1.2 core tags; nothing is constructed by it."""


_CoreLoader.yaml_implicit_resolvers = {}

for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
):
    _CoreLoader.add_implicit_resolver(f"{_CORE_TAG}{_tag}", re.compile(_pattern), _first)


def _compose(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        raise SpecError(name, [Problem("", _syntax_message(error), line)]) from error
    except RecursionError as error:
        raise SpecError(name, [Problem("", f"nested deeper than {DEEPEST} levels")]) from error
    except (yaml.YAMLError, ValueError, OverflowError, IndexError) as error:
        # PyYAML lets a few odd escapes and directives through as plain Python errors.
        raise SpecError(name, [Problem("", f"not readable as YAML: {error}")]) from error


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return (
            "not readable as YAML: a tab stands where YAML allows only spaces; indent with spaces"
        )
    if isinstance(error, yaml.composer.ComposerError) and "single document" in str(error.context):
        return "expected one YAML document, came a second one (`---`)"
    context = f" ({error.context})" if error.context else ""
    return f"not readable as YAML: {problem}{context}"


class _Reader:
    """Turns nodes into plain values, noting lines and what is wrong."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self.findings: list[Finding] = []
        self._values = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, location: Location) -> Any:  # noqa: ANN401 -- any plain value
        self._values += 1
        self.lines.setdefault(location, node.start_mark.line + 1)
        if self._values > MOST_VALUES:
            if self._values == MOST_VALUES + 1:
                self._find((), f"expected at most {MOST_VALUES} values, anchors written out")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, location)
        if id(node) in self._open:
            return self._find(location, "an anchor holds itself; write the value out")
        if len(location) > DEEPEST:
            return self._find(location, f"nested deeper than {DEEPEST} levels")
        self._open.add(id(node))
        try:
            return self._collection(node, location)
        finally:
            self._open.remove(id(node))

    def _collection(self, node: yaml.Node, location: Location) -> Any:  # noqa: ANN401
        if node.tag not in (f"{_CORE_TAG}map", f"{_CORE_TAG}seq"):
            return self._find(location, f"the tag {node.tag!r} means nothing here; leave it out")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
        result: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.lines.setdefault(location, line)
                self._find(location, "expected plain text as a key, came a list or mapping")
                continue
            key = self._text(key_node.value, location)
            if key == "<<" and key_node.style is None:
                self.lines[(*location, key)] = line
                self._find((*location, key), "merge keys (<<) are not read; write the keys out")
                continue
            if key in first_lines:
                message = f"the key stands here and on line {first_lines[key]}; keep one"
                self.lines[(*location, key)] = line
                self._find((*location, key), message)
                continue
            first_lines[key] = line
            self.lines[(*location, key)] = line
            result[key] = self.value(value_node, (*location, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> str | bool | int | float | None:
        kind = node.tag.removeprefix(_CORE_TAG)
        if kind == "str":
            return self._text(node.value, location)
        if kind == "null":
            return None
        if kind == "bool":
            return node.value.lower() == "true" or self._is_false(node.value, location)
        if kind in ("int", "float"):
            return self._number(node.value, location)
        self._find(location, f"the tag {node.tag!r} means nothing here; leave it out")
        return None

    def _is_false(self, text: str, location: Location) -> bool:
        if text.lower() != "false":
            self._find(location, f"expected true or false, came {text!r}")
        return False

    def _number(self, text: str, location: Location) -> int | float | None:
        try:
            number = _parse_number(text)
        except ValueError:
            self._find(location, f"expected a number, came {_clip(text)!r}")
            return None
        if math.isfinite(number) and (isinstance(number, float) or abs(number) < LARGEST_NUMBER):
            return number
        self._find(location, f"expected a finite number below 2^63, came {_clip(text)}")
        return None

    def _text(self, text: str, location: Location) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            self._find(location, "the text holds half a character (a lone surrogate)")
            return ""
        return text

    def _find(self, location: Location, message: str) -> None:
        self.findings.append(Finding(location, message))


def _parse_number(text: str) -> int | float:
    if re.fullmatch(r"[-+]?[0-9]{1,40}", text):
        return int(text)
    if text.startswith(("0x", "0o")) and len(text) <= 40:
        return int(text, 16 if text[1] == "x" else 8)
    word = text.lower().replace(".inf", "inf").replace(".nan", "nan")
    number = float(word)
    if number.is_integer() and abs(number) < 2**53:
        return int(number)
    return number


def _clip(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
