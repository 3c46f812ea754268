"""Shipped files by name: sweep files and trainer configs under `recipes/`."""

from __future__ import annotations

from pathlib import Path

from infra.errors import MissingError
from infra.findings import hint

FOLDER = Path(__file__).parent / "recipes"


def recipe_names() -> tuple[str, ...]:
    """Names of everything that ships, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def recipe_rows() -> list[dict[str, str]]:
    """One row per shipped file: its name, and what it is for."""
    return [{"name": name, "doc": recipe_summary(name)} for name in recipe_names()]


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe.

    Raises:
        MissingError: If none has that name; names the nearest.
    """
    names = recipe_names()
    if name not in names:
        near = hint(name, names) or "; `rmsweep spaces --recipes` lists them"
        raise MissingError(f"there is no file {name}, and no shipped recipe of that name{near}")
    return FOLDER / f"{name}.yaml"


def recipe_summary(name: str) -> str:
    """What the recipe's first comment says, for listings.

    Raises:
        MissingError: If none has that name.
    """
    summary = []
    for line in recipe_path(name).read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if text.startswith("yaml-language-server"):
            continue
        if not line.startswith("#") or not text:
            break
        summary.append(text)
    return " ".join(summary)
