"""JSON Schemas of sweep files and trainer configs, for editors; `python -m sweep.spec.schema`.

They are made from the models, with the settings and the shipped axes listed by name so that an
editor completes them. A file the schema accepts may still be wrong; `rmsweep check` knows more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from infra.field_shapes import entry_type, section
from search_spaces.axis_levels import NOT_TO_VARY
from search_spaces.catalog import AXES
from search_spaces.patches import locate, setting_paths
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig

FOLDER = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_COMPOSITION: Schema = {
    "extends": {
        "type": "string",
        "description": "A sweep file or recipe this one is a variant of; what stands here wins.",
    },
    "include": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "Files with parts of sweeps, later ones over earlier ones.",
    },
}
"""Keys that are gone once a file is read (`sweep.spec.compose`)."""


def sweep_schema() -> Schema:
    """The schema of a sweep file."""
    schema = SweepSpec.model_json_schema()
    definitions: Schema = schema.setdefault("$defs", {})
    properties: Schema = schema["properties"]
    definitions["Patch"] = _patch_schema(definitions)
    patch = {"$ref": "#/$defs/Patch"}
    properties["set"] = {**_kept(properties["set"]), **patch}
    properties["baseline"]["anyOf"] = [{"type": "string"}, patch]
    axis = definitions["AxisSpec"]["properties"]
    for key in ("levels", "members"):
        listed, _, absent = axis[key]["anyOf"]
        named = {"type": "object", "additionalProperties": patch}
        axis[key]["anyOf"] = [listed, named, absent]
    properties["axes"]["properties"] = _axes_schema(definitions)
    properties["axes"]["additionalProperties"]["anyOf"].append({"type": "null"})
    properties |= _COMPOSITION
    return _headed(schema, "A sweep file of rmsweep")


def trainer_schema() -> Schema:
    """The schema of a trainer config, as a sweep's baseline or on its own."""
    return _headed(TrainerConfig.model_json_schema(), "A trainer config of rmsweep")


def schema_files() -> Mapping[Path, str]:
    """What is written where."""
    return {
        FOLDER / "sweep.schema.json": _text(sweep_schema()),
        FOLDER / "trainer.schema.json": _text(trainer_schema()),
    }


def write_schemas() -> list[Path]:
    """Write both files; returns those that changed."""
    changed = []
    for path, text in schema_files().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def _patch_schema(definitions: Schema) -> Schema:
    """Settings by dotted path; those inside tables are free."""
    properties: Schema = {}
    for path in setting_paths():
        adapter: TypeAdapter[Any] = TypeAdapter(_annotation(path))
        schema = adapter.json_schema(ref_template="#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        properties[path] = {**schema, **_description(path)}
    tables = {"type": "object", "properties": properties, "additionalProperties": True}
    return {**tables, "description": "Settings of the trainer config by dotted path."}


def _annotation(path: str) -> Any:  # noqa: ANN401 -- a type expression
    field = _field(path)
    return field.rebuild_annotation()


def _field(path: str) -> Any:  # noqa: ANN401 -- pydantic's FieldInfo
    outer, _, name = path.rpartition(".")
    model: Any = locate(outer).shape if outer else TrainerConfig
    return model.model_fields[name]


def _description(path: str) -> Schema:
    description = _field(path).description
    return {"description": description} if description else {}


def _axes_schema(definitions: Schema) -> Schema:
    """The shipped axes and the single settings, each with what it may be."""
    baseline = TrainerConfig()
    axes = {}
    for path in setting_paths():
        shape = locate(path).shape
        varies = path.partition(".")[0] not in NOT_TO_VARY
        if varies and section(shape) is None and entry_type(shape) is None:
            values = definitions["Patch"]["properties"][path]
            axes[path] = _axis_schema(values, _description(path))
    for name, axis in AXES.items():
        names = [level.name for level in axis.levels(baseline)]
        known = {"anyOf": [{"enum": names}, {"type": "string"}]}
        axes[name] = _axis_schema(known, {"description": axis.doc})
    return axes


def _axis_schema(items: Schema, description: Schema) -> Schema:
    bare = {key: value for key, value in items.items() if key not in ("default", "description")}
    values = {"type": "array", "items": bare}
    absent = {"type": "null"}
    return {"anyOf": [values, {"$ref": "#/$defs/AxisSpec"}, absent], **description}


def _kept(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key in ("title", "description")}


def _headed(schema: Schema, title: str) -> Schema:
    return {"$schema": DIALECT, **schema, "title": title}


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, sort_keys=False, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    import sys

    for written in write_schemas():
        sys.stdout.write(f"wrote {written.relative_to(Path.cwd())}\n")
