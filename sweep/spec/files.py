"""Where files are found and how a YAML file is read; nothing in it is checked yet."""

from __future__ import annotations

from pathlib import Path

from infra.errors import InputError, MissingError, Problem, SpecError
from infra.findings import hint
from infra.yaml_source import YamlDocument, read_yaml
from search_spaces.recipes import recipe_names, recipe_path

SUFFIXES = (".yaml", ".yml")


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
    names = [
        file.name
        for file in (beside.iterdir() if beside.is_dir() else ())
        if file.suffix in SUFFIXES and file.is_file()
    ]
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
