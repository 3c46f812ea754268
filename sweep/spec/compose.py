"""`extends` and `include`: a sweep file put together from others before anything is checked.

`extends` names the sweep a file is a variant of, `include` files with parts of sweeps. What is
named first is overlaid by what is named later, and all of it by the file itself: the entries of a
section (`set`, `axes`, `budget`, ...) one by one, everything else whole. `axes: {NAME: null}` takes
an axis away. Every value keeps the file and the line it was written in.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.errors import InputError, SpecError
from infra.findings import Finding, Location, described, hint
from infra.yaml_source import Source, YamlDocument
from sweep.spec.files import find_file, read_document
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig

EXTENDS, INCLUDE = "extends", "include"
MOST_FILES = 50
"""More files in one sweep are refused; nobody could follow them."""
_WHOLE = frozenset({"baseline"})
"""Sections that are replaced whole: entries of two baselines together are neither."""


def read_composed(path: Path) -> YamlDocument:
    """What a file and all it extends and includes hold together.

    Raises:
        SpecError: If a file is no YAML mapping, names itself over others, or names none.
        InputError: If it cannot be read.
    """
    return _Composing().document(path, ())


@dataclass
class _Composing:
    """The files read so far."""

    files: int = 0
    _cache: dict[Path, YamlDocument] = field(default_factory=dict)

    def document(self, path: Path, chain: tuple[Path, ...]) -> YamlDocument:
        """The composed document of one file, named by the files of the chain."""
        path = path.resolve() if chain else path
        own = read_document(path)
        named = [name for name in (EXTENDS, INCLUDE) if name in own.data]
        if not named:
            return own
        findings: list[Finding] = []
        base: YamlDocument | None = None
        for location, name in _names(own, findings):
            part = self._part(own, location, name, (*chain, path.resolve()), findings)
            if part is not None:
                base = part if base is None else _overlaid(base, part, findings)
        data = {key: value for key, value in own.data.items() if key not in named}
        if findings:
            raise own.source.error(findings)
        if base is None:
            return replace(own, data=data)
        inherited = {key: value for key, value in base.data.items() if key != "name"}
        result = _overlaid(
            replace(base, data=inherited), replace(own, data=data), findings, outermost=True
        )
        if findings:
            raise own.source.error(findings)
        return result

    def _part(
        self,
        own: YamlDocument,
        location: Location,
        name: str,
        chain: tuple[Path, ...],
        findings: list[Finding],
    ) -> YamlDocument | None:
        """A file that is extended or included; None when it is wrong."""
        self.files += 1
        if self.files > MOST_FILES:
            if self.files == MOST_FILES + 1:
                message = f"more than {MOST_FILES} files are put together here; write some out"
                findings.append(Finding(location, message))
            return None
        try:
            path = find_file(name, own.source.folder).resolve()
            if path in chain:
                circle = [each.name for each in (*chain[chain.index(path) :], path)]
                message = f"files name each other in a circle: {' -> '.join(circle)}"
                findings.append(Finding(location, message))
                return None
            document = self.document(path, chain)
        except SpecError as error:
            findings += [
                Finding(location, f"in {error.source}: {problem}") for problem in error.problems
            ]
            return None
        except InputError as error:
            findings.append(Finding(location, str(error)))
            return None
        findings += _not_a_part(document, location, name)
        return _placed(document)


def _names(own: YamlDocument, findings: list[Finding]) -> Iterator[tuple[Location, str]]:
    """The files a document names, in the order they are overlaid."""
    extended = own.data.get(EXTENDS)
    if isinstance(extended, str):
        yield (EXTENDS,), extended
    elif EXTENDS in own.data:
        message = f"expected one sweep file or recipe, came {described(extended)}"
        findings.append(Finding((EXTENDS,), message))
    included = own.data.get(INCLUDE, [])
    for index, name in enumerate(included if isinstance(included, list) else [included]):
        location = (INCLUDE, index) if isinstance(included, list) else (INCLUDE,)
        if isinstance(name, str):
            yield location, name
        else:
            message = f"expected a file, came {described(name)}"
            findings.append(Finding(location, message))


def _not_a_part(document: YamlDocument, location: Location, name: str) -> list[Finding]:
    keys = set(document.data)
    if keys & set(TrainerConfig.model_fields) and not keys & set(SweepSpec.model_fields):
        message = f"{name} is a trainer config, not a sweep; name it as `baseline`"
        return [Finding(location, message)]
    return []


def _placed(document: YamlDocument) -> YamlDocument:
    """The document with a baseline that means the same file from everywhere."""
    baseline, folder = document.data.get("baseline"), document.source.folder
    if isinstance(baseline, str) and folder is not None and (folder / baseline).is_file():
        return replace(document, data={**document.data, "baseline": str(folder / baseline)})
    return document


def _overlaid(
    base: YamlDocument, over: YamlDocument, findings: list[Finding], *, outermost: bool = False
) -> YamlDocument:
    """One document over another; lines that do not come from the outermost file keep its name."""
    overlay = _Overlay(
        data=copy.deepcopy(base.data),
        lines=dict(base.source.lines),
        files=_files(base.source),
        over=over.source,
        over_file=None if outermost else over.source.name,
    )
    overlay.put_all(over.data)
    findings += overlay.findings
    source = replace(over.source, lines=overlay.lines, files=overlay.files)
    return YamlDocument(data=overlay.data, source=source)


def _files(source: Source) -> dict[Location, str]:
    """The file of every line."""
    return {place: source.files.get(place, source.name) for place in source.lines}


@dataclass
class _Overlay:
    data: dict[str, Any]
    lines: dict[Location, int]
    files: dict[Location, str]
    over: Source
    over_file: str | None
    findings: list[Finding] = field(default_factory=list)

    def put_all(self, data: Mapping[str, Any]) -> None:
        """Put every key of a document over what is there."""
        for key, value in data.items():
            here = self.data.get(key)
            if (
                not isinstance(here, dict)
                or not isinstance(value, dict)
                or key in _WHOLE
                or not _same_kind(here, value)
            ):
                self._put(self.data, (key,), self._kept(key, value))
                continue
            self._note((key,))
            for name, entry in value.items():
                if key == "axes" and entry is None:
                    self._drop(here, (key, name))
                else:
                    self._put(here, (key, name), entry)

    def _kept(self, key: str, value: object) -> object:
        """A section without entries that take nothing away."""
        if key != "axes" or not isinstance(value, dict):
            return value
        for name, entry in value.items():
            if entry is None:
                self._nothing_to_drop((key, name), self.data.get(key))
        return {name: entry for name, entry in value.items() if entry is not None}

    def _put(self, holder: dict[str, Any], location: Location, value: object) -> None:
        for place in [each for each in self.lines if each[: len(location)] == location]:
            del self.lines[place]
            self.files.pop(place, None)
        if location[0] == "set":
            holder.pop(str(location[-1]), None)  # of overlapping settings the last one wins
        holder[str(location[-1])] = copy.deepcopy(value)
        for place, line in self.over.lines.items():
            if place[: len(location)] == location:
                self._note_line(place, line)

    def _drop(self, holder: dict[str, Any], location: Location) -> None:
        if str(location[-1]) not in holder:
            self._nothing_to_drop(location, holder)
            return
        del holder[str(location[-1])]
        for place in [each for each in self.lines if each[: len(location)] == location]:
            del self.lines[place]
            self.files.pop(place, None)

    def _nothing_to_drop(self, location: Location, holder: object) -> None:
        known = list(holder) if isinstance(holder, dict) else []
        name = str(location[-1])
        message = f"takes away the axis '{name}', which no other file has{hint(name, known)}"
        self.findings.append(Finding(location, message))

    def _note(self, location: Location) -> None:
        if location in self.over.lines:
            self._note_line(location, self.over.lines[location])

    def _note_line(self, place: Location, line: int) -> None:
        self.lines[place] = line
        file = self.over.files.get(place, self.over_file)
        if file is None:
            self.files.pop(place, None)
        else:
            self.files[place] = file


def _same_kind(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are settings of the same kind of thing; an absent kind is the other's."""
    return "kind" not in other or one.get("kind") == other["kind"]
