"""Manifests as YAML text that people read: in their own order, without anchors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

MADE = "# Rendered by `rmsweep deploy`; change the settings file, not this one.\n"


class _Plain(yaml.SafeDumper):
    """Repeats what is used twice; an anchor would say that it must stay the same."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def yaml_text(document: dict[str, Any], note: str) -> str:
    """One document with a comment above it."""
    return f"{MADE}# {note}\n{_dumped(document)}"


def yaml_texts(documents: Sequence[dict[str, Any]], note: str) -> str:
    """Several documents in one file."""
    return f"{MADE}# {note}\n" + "---\n".join(_dumped(document) for document in documents)


def _dumped(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=100)
