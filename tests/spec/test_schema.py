"""The published JSON Schemas are those of the models, and accept what ships."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from search_spaces.recipes import recipe_names, recipe_path
from sweep.spec.files import read_document
from sweep.spec.load import is_sweep
from sweep.spec.schema import schema_files, sweep_schema, trainer_schema


def errors(schema: dict[str, Any], data: object) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(data)]


def test_the_files_are_what_the_models_say() -> None:
    stale = [
        path.name
        for path, text in schema_files().items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `make schema`"


@pytest.mark.parametrize("schema", [sweep_schema(), trainer_schema()], ids=["sweep", "trainer"])
def test_the_schemas_are_schemas(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_fits_the_schema_it_names(name: str) -> None:
    path = recipe_path(name)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    document = read_document(path)
    schema = "sweep" if is_sweep(document) else "trainer"

    assert first == f"# yaml-language-server: $schema=../../sweep/spec/{schema}.schema.json"
    assert (path.parent / first.partition("=")[2]).is_file()
    assert errors(sweep_schema() if schema == "sweep" else trainer_schema(), document.data) == []


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": "a", "axs": {}},
        {"name": "a", "replicates": {"seeds": 0}},
        {"name": "a", "design": {"kind": "gird"}},
        {"name": "a", "set": {"head.layers": 9}},
        {"name": "a", "axes": {"head.activation": ["slu"]}},
        {"name": "a", "axes": {"mine": {"levels": {"x": {"head.layers": "two"}}}}},
    ],
)
def test_an_editor_sees_what_is_plainly_wrong(data: dict[str, Any]) -> None:
    assert errors(sweep_schema(), data) != []


def test_an_editor_is_offered_settings_and_shipped_axes_by_name() -> None:
    schema = sweep_schema()

    axes = schema["properties"]["axes"]["properties"]
    patch = schema["$defs"]["Patch"]["properties"]
    assert {"paradigm", "head", "strategy", "data_mix", "backbone", "scale"} <= set(axes)
    assert {"head.layers", "strategy.learning_rate"} <= set(axes) & set(patch)
    assert not {"seed", "evaluation.monitor"} & set(axes)
    assert patch["head.activation"]["enum"] == ["none", "tanh", "silu", "gelu", "relu"]
