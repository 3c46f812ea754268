"""The backbones a sweep can name: shipped tiny ones and public ones by hub id; imports no torch.

Figures (parameters, width, depth) are those of the published checkpoints and feed the cost model.
A digest identifies weights by content, so it exists only for what is on this disk.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from infra.errors import BackboneError
from trainer.backbone_entries import ENTRIES, BackboneEntry, Kind
from trainer.config import BackboneConfig
from trainer.extensions import installed, load_part

SHIPPED = Path(__file__).parent / "backbones"
"""Folder of the backbones that come with the package, as `<family>/<scale>/`."""

MODEL_TYPES: dict[str, Kind] = {
    "qwen2_vl": "qwen-vl",
    "qwen2_5_vl": "qwen-vl",
    "qwen3_vl": "qwen-vl",
    "internvl": "internvl",
    "llava_onevision": "llava-onevision",
    "smolvlm": "smolvlm",
}
"""Vision-language architectures by the `model_type` of config.json; causal LMs are `text`."""


def entries() -> tuple[BackboneEntry, ...]:
    """Every backbone of the catalog: shipped ones, public ones, those installed packages bring.

    Raises:
        BackboneError: If a package brings something else, or a name that is there already.
    """
    return _all_entries()


def lookup(config: BackboneConfig) -> BackboneEntry:
    """The entry a config names; with a path, that of the family and scale named beside it.

    Raises:
        BackboneError: The family or the scale is unknown; names the nearest and lists all.
    """
    families = list(dict.fromkeys(entry.family for entry in entries()))
    if config.family not in families:
        raise BackboneError(_unknown("backbone.family", config.family, families))
    scales = {entry.scale: entry for entry in entries() if entry.family == config.family}
    if config.scale not in scales:
        where = f"backbone.scale of family {config.family}"
        raise BackboneError(_unknown(where, config.scale, scales))
    return scales[config.scale]


def backbone_folder(config: BackboneConfig, *, models: Path | None = None) -> Path | None:
    """Where the weights lie on this disk; None when they must come from the hub.

    Args:
        config: A local path wins, then a copy in `models`, then the shipped folder.
        models: Folder with copies of hub models, as `<organisation>/<name>` or `<name>`.

    Raises:
        BackboneError: Unknown name, or a folder that holds no model.
    """
    hub_id = config.path
    if config.path is not None:
        folder = Path(config.path).expanduser()
        if folder.exists() or not _HUB_ID.fullmatch(config.path):
            return _checked(folder)
    else:
        entry = lookup(config)
        if entry.folder is not None:
            return _checked(Path(entry.folder))
        if entry.hub_id is None:
            return _checked(SHIPPED / entry.family / entry.scale)
        hub_id = entry.hub_id
    for name in (str(hub_id), str(hub_id).rpartition("/")[2]):
        if models is not None and (models / name).is_dir():
            return _checked(models / name)
    return None


def backbone_location(config: BackboneConfig, *, models: Path | None = None) -> str:
    """What to load from: the local folder, or else the hub id."""
    folder = backbone_folder(config, models=models)
    if folder is not None:
        return str(folder)
    return config.path or str(lookup(config).hub_id)


def backbone_digest(config: BackboneConfig, *, models: Path | None = None) -> str | None:
    """Sha256 over the names and contents of the model's files; None (pending) if not on this disk.

    Documentation files do not count. Raises `BackboneError` as `backbone_folder` does.
    """
    folder = backbone_folder(config, models=models)
    if folder is None:
        return None
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in _MODEL_SUFFIXES:
            stat = file.stat()
            content = _file_digest(str(file), stat.st_mtime_ns, stat.st_size)
            digest.update(f"{file.name} {content}\n".encode())
    return digest.hexdigest()


_MODEL_SUFFIXES = {".safetensors", ".bin", ".json", ".jinja", ".txt", ".model"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@lru_cache(maxsize=1024)
def _file_digest(path: str, modified: int, size: int) -> str:
    del modified, size  # part of the cache's key: a changed file is read again
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(folder: Path) -> Path:
    expected = "expected a folder with config.json, tokenizer files and weights (*.safetensors)"
    if not folder.is_dir():
        raise BackboneError(f"backbone path {folder}: {expected}, but there is no such folder")
    names = sorted(file.name for file in folder.iterdir())
    found = ", ".join(names[:8]) or "nothing"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BackboneError(
            f"backbone path {folder}: {expected}, found {found}; "
            f"point at the folder that holds config.json"
        ) from None
    except ValueError as error:
        raise BackboneError(f"backbone path {folder}: config.json is not JSON: {error}") from error
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if not (model_type in MODEL_TYPES or _is_causal_language_model(config)):
        raise BackboneError(
            f"backbone path {folder}: model_type {model_type!r} is not supported; expected "
            f"{', '.join(MODEL_TYPES)}, or a text model whose architecture is *ForCausalLM"
        )
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        raise BackboneError(f"backbone path {folder}: {expected}, found no weights but {found}")
    if not any(name.startswith(("tokenizer", "vocab")) for name in names):
        raise BackboneError(f"backbone path {folder}: {expected}, found no tokenizer but {found}")
    return folder


def _is_causal_language_model(config: object) -> bool:
    architectures = config.get("architectures") if isinstance(config, dict) else None
    return any(str(name).endswith("ForCausalLM") for name in architectures or ())


@cache
def _all_entries() -> tuple[BackboneEntry, ...]:
    known = {entry.name: entry for entry in ENTRIES}
    for name in installed("rmsweep.backbones"):
        brought = load_part("rmsweep.backbones", name)
        for entry in brought if isinstance(brought, list | tuple) else (brought,):
            if not isinstance(entry, BackboneEntry):
                raise BackboneError(
                    f"backbone {name!r} must be a trainer.catalog.BackboneEntry or several, got "
                    f"{type(entry).__name__}"
                )
            if entry.name in known:
                raise BackboneError(f"backbone {entry.name} is defined twice; uninstall one")
            known[entry.name] = entry
    return tuple(known.values())


def _unknown(where: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {where} {name!r}{hint} Known: {', '.join(known)}"
