"""Rendered manifests, read back; the layouts every test of them goes through."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from infra.deploy.deployment import Deployment
from infra.deploy.rendering import render

Manifest = dict[str, Any]


def kubernetes(deployment: Deployment) -> list[Manifest]:
    return [
        document
        for name, documents in _read(deployment.model_dump_json()).items()
        if name.startswith("kubernetes/")
        for document in documents
    ]


def compose(deployment: Deployment) -> Manifest:
    (document,) = _read(deployment.model_dump_json())["compose/compose.yaml"]
    return document


@cache
def _read(deployment: str) -> dict[str, list[Manifest]]:
    """Documents of every file; reading YAML takes a hundred times as long as writing it."""
    files = render(Deployment.model_validate_json(deployment))
    return {
        name: list(yaml.load_all(text, yaml.CSafeLoader))
        for name, text in files.items()
        if name.endswith(".yaml")
    }


def walk(value: object) -> Iterator[Manifest]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


def pod_specs(deployment: Deployment) -> list[Manifest]:
    return [found for found in walk(kubernetes(deployment)) if "containers" in found]
