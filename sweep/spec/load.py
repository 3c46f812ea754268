"""Sweep files into `SweepSpec`s, by path or by the name of a shipped recipe.

A file that is wrong is refused with every problem in it at once; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import InputError, MissingError, Problem, SpecError
from infra.findings import InvalidSettings, hint, validate
from search_spaces.recipes import recipe_names, recipe_path
from sweep.spec.overrides import apply_overrides
from sweep.spec.sweep_spec import SweepSpec
from sweep.spec.yaml_source import Source, YamlDocument, read_yaml
from trainer.config import TrainerConfig

SUFFIXES = (".yaml", ".yml")


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
    """What a sweep file holds, overrides put in, nothing checked yet."""
    document = read_document(find_file(name))
    return apply_overrides(document, overrides) if overrides else document


def sweep_of(document: YamlDocument) -> SweepFile:
    """The sweep in a document.

    Raises:
        SpecError: With every problem, by line.
    """
    if not is_sweep(document) and set(document.data) & set(TrainerConfig.model_fields):
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


def find_file(name: str | Path, folder: Path | None = None) -> Path:
    """The file a name means: a path, seen from `folder` first, or a shipped recipe.

    Raises:
        MissingError: If there is none; names the nearest recipe or file.
    """
    path = Path(name).expanduser()
    if path.suffix not in SUFFIXES and path.parent == Path() and not path.is_file():
        return recipe_path(str(name))
    candidates = [folder / path, path] if folder is not None else [path]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if path.is_dir():
        raise MissingError(f"expected a file, but {path} is a folder")
    beside = candidates[0].parent
    names = [file.name for file in beside.iterdir()] if beside.is_dir() else []
    shipped = f"; shipped: {', '.join(recipe_names())}" if not names else ""
    raise MissingError(f"there is no file {path}{hint(path.name, names) or shipped}")


def read_document(path: Path) -> YamlDocument:
    """The mapping a YAML file holds.

    Raises:
        SpecError: If it is no YAML mapping.
        InputError: If it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"expected UTF-8 text, came byte {error.object[error.start]:#04x}"
        line = error.object[: error.start].count(b"\n") + 1
        raise SpecError(str(path), [Problem("", message, line)]) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return read_yaml(text, str(path), folder=path.parent)
