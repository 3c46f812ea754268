"""Kubernetes' published schemas, from the package that ships them; each is read once."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
from referencing import Registry, Resource


@cache
def _definitions(version: str) -> Any:  # noqa: ANN401 -- referencing's registry
    return Resource.from_contents(_contents(version, "_definitions")) @ Registry()


def _contents(version: str, name: str) -> Any:  # noqa: ANN401 -- JSON
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    return json.loads((folder / f"{name}.json").read_text())


@cache
def _validator(version: str, kind: str, api: str) -> Any:  # noqa: ANN401 -- jsonschema's
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    schema = _contents(version, f"{kind.lower()}-{group}")
    return jsonschema.Draft202012Validator(schema, registry=_definitions(version))


def check_core(document: dict[str, Any], version: str) -> None:
    """Raise `jsonschema.ValidationError` if the object is not one of this Kubernetes."""
    _validator(version, document["kind"], document["apiVersion"]).validate(document)
