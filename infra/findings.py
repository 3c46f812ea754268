"""What is wrong in settings, by place: the words for it, and pydantic's errors put into them.

A finding knows where it is (keys and list positions) and not in which file; whoever read the file
adds the line. Every finding says what was expected, what came, and the nearest right name.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infra.errors import Problem, SpecError
from infra.field_shapes import models_at

Location = tuple[str | int, ...]
"""Keys and list positions from the top of the settings; a key may hold dots."""

Model = TypeVar("Model", bound=BaseModel)

LISTED_NAMES = 8
"""More names than this are not listed in a message."""
SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong, and where."""

    location: Location
    message: str

    def under(self, *outer: str | int) -> Finding:
        """The same finding, seen from further out."""
        return Finding((*outer, *self.location), self.message)


class InvalidSettings(SpecError):  # noqa: N818 -- a SpecError that still knows its locations
    """Settings are wrong; carries findings for a caller that knows lines."""

    def __init__(self, findings: Iterable[Finding], source: str = "this configuration") -> None:
        self.findings = tuple(findings)
        super().__init__(
            source,
            [Problem(dotted(finding.location), finding.message) for finding in self.findings],
        )


def dotted(location: Location) -> str:
    """A location as people write it: `axes.head.layers.levels[1]`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name most likely meant: equal but for case or a leading path, else similar letters."""
    known = list(dict.fromkeys(names))
    folded = name.casefold()
    for option in known:
        if folded in (option.casefold(), option.rpartition(".")[2].casefold()):
            return option
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    by_last = {option.rpartition(".")[2]: option for option in reversed(known)}
    close = difflib.get_close_matches(name.rpartition(".")[2], by_last, n=1, cutoff=0.75)
    return by_last[close[0]] if close else None


def hint(name: str, names: Iterable[str]) -> str:
    """What to do about an unknown name: `; did you mean 'x'?`, or the few names there are."""
    known = list(dict.fromkeys(names))
    near = nearest(name, known)
    if near is not None:
        return f"; did you mean '{near}'?"
    if 0 < len(known) <= LISTED_NAMES:
        return f"; known: {', '.join(known)}"
    return ""


def described(value: object) -> str:
    """A value as a reader of a file calls it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"a mapping ({_short(', '.join(map(str, value)))})" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, str):
        return f"the text {_short(repr(value))}"
    return (
        f"the number {_short(str(value))}"
        if isinstance(value, int | float)
        else _short(repr(value))
    )


def validate(model: type[Model], data: object) -> Model:
    """The model these plain settings make.

    Numbers stay numbers: `"3"` and `true` are refused where a number is expected.

    Raises:
        InvalidSettings: With every problem, by location.
    """
    try:
        text = json.dumps(data, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"expected plain values (text, numbers, lists, mappings): {error}"
        raise InvalidSettings([Finding((), message)]) from error
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InvalidSettings(_findings(error, json.loads(text), model)) from error


def _findings(error: ValidationError, data: object, model: type[BaseModel]) -> list[Finding]:
    by_place: dict[Location, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_place.setdefault(_place(detail, data), []).append(detail)
    findings = []
    for place, details in by_place.items():
        # A union reports every branch; a branch that got further inside is the one that was meant.
        deeper = any(len(other) > len(place) and other[: len(place)] == place for other in by_place)
        kept = [detail for detail in details if not (deeper and detail["type"] in _EXPECTED)]
        if kept:
            findings.append(Finding(place, _message(kept, place, data, model)))
    return findings


def _place(detail: ErrorDetails, data: object) -> Location:
    """The error's location without the branch names pydantic puts in for unions."""
    place: list[str | int] = []
    here = data
    for index, part in enumerate(detail["loc"]):
        last = index == len(detail["loc"]) - 1
        if _holds(here, part):
            here = here[part]  # type: ignore[index]  # _holds just checked it
        elif not (last and detail["type"] == "missing"):
            continue
        place.append(part)
    return tuple(place)


def _holds(here: object, part: str | int) -> bool:
    if isinstance(here, Mapping):
        return part in here
    return isinstance(here, list) and isinstance(part, int) and part < len(here)


def _message(
    details: list[ErrorDetails], place: Location, data: object, model: type[BaseModel]
) -> str:
    detail = details[0]
    kind = detail["type"]
    if kind == "extra_forbidden":
        names = [
            name for owner in models_at(model, place[:-1], data) for name in owner.model_fields
        ]
        return f"unknown key '{place[-1]}'{hint(str(place[-1]), names)}"
    if kind == "missing":
        return "expected a value, but the key is missing"
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    if kind in ("literal_error", "union_tag_invalid"):
        return _choice_message(detail)
    if kind == "union_tag_not_found":
        return f"expected a mapping with the key {detail['ctx']['discriminator']}"
    expected = list(dict.fromkeys(_expected(each) for each in details))
    if set(expected) >= _SINGLE_VALUES:
        expected = ["a single value (text, a number, true, false or null)"]
    return f"expected {' or '.join(expected)}, came {described(detail['input'])}"


def _choice_message(detail: ErrorDetails) -> str:
    context = detail["ctx"]
    listed = str(context.get("expected") or context.get("expected_tags"))
    came = context.get("tag", detail["input"])
    choices = re.findall(r"'([^']*)'", listed)
    near = nearest(str(came), choices)
    remedy = f"; did you mean '{near}'?" if near else ""
    return f"expected {listed}, came {described(came)}{remedy}"


def _expected(detail: ErrorDetails) -> str:
    template = _EXPECTED.get(detail["type"]) or _BOUNDS.get(detail["type"])
    if template is None:
        return f"something else ({detail['msg']})"
    return template.format(**detail.get("ctx", {}))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "null",
}
_SINGLE_VALUES = {"a number", "text", "true or false"}
_BOUNDS = {
    "int_parsing_size": "a smaller number",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_pattern_mismatch": "text matching {pattern}",
    "too_short": "at least {min_length} entries",
}
