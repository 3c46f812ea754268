"""Every setting of the trainer config with what it may be: any of them can be an axis.

Read off the config's JSON Schema, so what is listed is what is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.errors import MissingError
from infra.findings import hint
from trainer.config import TrainerConfig

_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
    "minLength": "{} characters or more",
}


def setting_rows(prefix: str = "") -> list[dict[str, Any]]:
    """One row per setting at or below a dotted path: name, allowed, default, doc.

    Raises:
        MissingError: If there is no such setting; names the nearest.
    """
    schema = TrainerConfig.model_json_schema()
    rows = list(_rows(schema, schema["$defs"], TrainerConfig().model_dump(mode="json")))
    wanted = prefix.removesuffix(".")
    found = [row for row in rows if not wanted or f"{row['name']}.".startswith(f"{wanted}.")]
    if not found:
        names = [row["name"] for row in rows]
        sections = sorted({name.rpartition(".")[0] for name in names if "." in name})
        raise MissingError(f"unknown setting '{wanted}'{hint(wanted, [*names, *sections])}")
    return found


def _rows(
    model: Mapping[str, Any], known: Mapping[str, Any], defaults: Mapping[str, Any], path: str = ""
) -> Iterator[dict[str, Any]]:
    for name, value in model["properties"].items():
        inner = _section(value, known)
        if inner is not None:
            yield from _rows(inner, known, defaults[name], f"{path}{name}.")
            continue
        yield {
            "name": f"{path}{name}",
            "allowed": _allowed(value, known),
            "default": defaults[name],
            "doc": " ".join(value.get("description", "").split()),
        }


def _section(value: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The model a setting holds, if its parts are settings themselves."""
    target = _resolved(value, known)
    return target if "properties" in target else None


def _resolved(value: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = value.get("$ref")
    return value if reference is None else known[str(reference).rpartition("/")[2]]


def _allowed(value: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    value = _resolved(value, known)
    if "anyOf" in value:
        return " or ".join(_allowed(each, known) for each in value["anyOf"])
    if "enum" in value:
        return ", ".join(map(str, value["enum"]))
    if "const" in value:
        return str(value["const"])
    kind = value.get("type")
    if kind == "array":
        items = value.get("items")
        return f"list of {_allowed(items, known)}" if items else "list"
    if kind == "object":
        entries = value.get("additionalProperties")
        inner = _allowed(entries, known) if isinstance(entries, Mapping) else ""
        return f"mapping of names to {inner}" if inner else "mapping"
    words = {"null": "nothing", "boolean": "true, false", "string": "text"}
    bounds = [text.format(value[key]) for key, text in _BOUNDS.items() if key in value]
    return " ".join([words.get(str(kind), str(kind)), *bounds])
