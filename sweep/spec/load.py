"""Sweep files into `SweepSpec`s, by path or by the name of a shipped recipe.

A file that is wrong is refused with every problem in it at once; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import Problem, SpecError
from infra.findings import InvalidSettings, validate
from infra.yaml_source import Source, YamlDocument
from sweep.spec.compose import read_composed
from sweep.spec.files import find_file
from sweep.spec.overrides import apply_overrides
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFile:
    """A sweep as its file says it, and where it says what."""

    spec: SweepSpec
    source: Source


def load_sweep(name: str | Path, overrides: Sequence[str] = ()) -> SweepSpec:
    """The sweep a file asks for; `read_sweep` keeps the lines too.

    Args:
        name: Path of a sweep file, or name of a shipped recipe.
        overrides: `path=value` put in before the file is checked, such as `budget.hours=2`.

    Raises:
        SpecError: With every problem, by line.
        MissingError: If there is no such file or recipe.
    """
    return read_sweep(name, overrides).spec


def read_sweep(name: str | Path, overrides: Sequence[str] = ()) -> SweepFile:
    """As `load_sweep`, with the lines that later checks name."""
    return sweep_of(sweep_document(name, overrides))


def sweep_document(name: str | Path, overrides: Sequence[str] = ()) -> YamlDocument:
    """What a sweep file and those it builds on hold, overrides put in, nothing checked yet."""
    document = read_composed(find_file(name))
    return apply_overrides(document, overrides) if overrides else document


def sweep_of(document: YamlDocument) -> SweepFile:
    """The sweep in a document.

    Raises:
        SpecError: With every problem, by line.
    """
    if is_trainer_config(document):
        message = "this is a trainer config, not a sweep; name it as a sweep's baseline"
        raise SpecError(document.source.name, [Problem("", message)])
    try:
        spec = validate(SweepSpec, document.data)
    except InvalidSettings as error:
        raise document.source.error(list(error.findings)) from error
    return SweepFile(spec=spec, source=document.source)


def is_sweep(document: YamlDocument) -> bool:
    """Whether a document is a sweep file; a trainer config has none of its keys."""
    return bool(set(document.data) & set(SweepSpec.model_fields))


def is_trainer_config(document: YamlDocument) -> bool:
    """Whether a document is a trainer config, which is no sweep by itself."""
    return not is_sweep(document) and bool(set(document.data) & set(TrainerConfig.model_fields))
