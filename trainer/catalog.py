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
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from infra.errors import BackboneError
from trainer.config import BackboneConfig

Kind = Literal["qwen-vl", "internvl", "llava-onevision", "smolvlm", "text"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneEntry:
    """One named backbone and the figures its cost is estimated from."""

    family: str
    scale: str
    kind: Kind
    hub_id: str | None
    """Absent for shipped ones."""
    parameters: int
    """All of them, the vision tower included."""
    vision_parameters: int
    """Vision tower and projector; 0 for text-only models."""
    hidden_size: int
    layers: int
    """Width and depth of the language model."""

    @property
    def name(self) -> str:
        """Family and scale in one word."""
        return f"{self.family}/{self.scale}"


def entries() -> tuple[BackboneEntry, ...]:
    """Every backbone of the catalog, shipped ones first."""
    return _ENTRIES


def lookup(config: BackboneConfig) -> BackboneEntry:
    """The entry a config names; with a path, that of the family and scale named beside it.

    Raises:
        BackboneError: The family or the scale is unknown; names the nearest and lists all.
    """
    families = list(dict.fromkeys(entry.family for entry in _ENTRIES))
    if config.family not in families:
        raise BackboneError(_unknown("backbone.family", config.family, families))
    scales = {entry.scale: entry for entry in _ENTRIES if entry.family == config.family}
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


def _unknown(where: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {where} {name!r}{hint} Known: {', '.join(known)}"


def _entry(
    family: str,
    scale: str,
    kind: Kind,
    hub_id: str | None,
    millions: tuple[float, float],
    shape: tuple[int, int],
) -> BackboneEntry:
    return BackboneEntry(
        family=family,
        scale=scale,
        kind=kind,
        hub_id=hub_id,
        parameters=round(millions[0] * 1e6),
        vision_parameters=round(millions[1] * 1e6),
        hidden_size=shape[0],
        layers=shape[1],
    )


# family, scale, kind, hub id, (millions of parameters, of them vision), (hidden size, layers)
_ENTRIES: tuple[BackboneEntry, ...] = (
    _entry("tiny-qwen2.5-vl", "xs", "qwen-vl", None, (0.376128, 0.191568), (80, 2)),
    _entry("tiny-qwen2.5-vl", "s", "qwen-vl", None, (0.932624, 0.208016), (144, 3)),
    _entry("tiny-internvl3", "xs", "internvl", None, (0.301264, 0.116704), (80, 2)),
    _entry("tiny-internvl3", "s", "internvl", None, (0.87216, 0.147552), (144, 3)),
    _entry("qwen2-vl", "2b", "qwen-vl", "Qwen/Qwen2-VL-2B-Instruct", (2209, 665), (1536, 28)),
    _entry("qwen2-vl", "7b", "qwen-vl", "Qwen/Qwen2-VL-7B-Instruct", (8291, 675), (3584, 28)),
    _entry("qwen2-vl", "72b", "qwen-vl", "Qwen/Qwen2-VL-72B-Instruct", (73405, 699), (8192, 80)),
    _entry("qwen2.5-vl", "3b", "qwen-vl", "Qwen/Qwen2.5-VL-3B-Instruct", (3755, 669), (2048, 36)),
    _entry("qwen2.5-vl", "7b", "qwen-vl", "Qwen/Qwen2.5-VL-7B-Instruct", (8292, 676), (3584, 28)),
    _entry(
        "qwen2.5-vl", "32b", "qwen-vl", "Qwen/Qwen2.5-VL-32B-Instruct", (33453, 689), (5120, 64)
    ),
    _entry(
        "qwen2.5-vl", "72b", "qwen-vl", "Qwen/Qwen2.5-VL-72B-Instruct", (73411, 705), (8192, 80)
    ),
    _entry("qwen3-vl", "2b", "qwen-vl", "Qwen/Qwen3-VL-2B-Instruct", (2128, 407), (2048, 28)),
    _entry("qwen3-vl", "4b", "qwen-vl", "Qwen/Qwen3-VL-4B-Instruct", (4438, 415), (2560, 36)),
    _entry("qwen3-vl", "8b", "qwen-vl", "Qwen/Qwen3-VL-8B-Instruct", (8767, 576), (4096, 36)),
    _entry("qwen3-vl", "32b", "qwen-vl", "Qwen/Qwen3-VL-32B-Instruct", (33357, 595), (5120, 64)),
    _entry("internvl3", "1b", "internvl", "OpenGVLab/InternVL3-1B-hf", (938, 308), (896, 24)),
    _entry("internvl3", "2b", "internvl", "OpenGVLab/InternVL3-2B-hf", (2089, 313), (1536, 28)),
    _entry("internvl3", "8b", "internvl", "OpenGVLab/InternVL3-8B-hf", (7944, 332), (3584, 28)),
    _entry("internvl3", "14b", "internvl", "OpenGVLab/InternVL3-14B-hf", (15119, 351), (5120, 48)),
    _entry("internvl3", "38b", "internvl", "OpenGVLab/InternVL3-38B-hf", (38388, 5624), (5120, 64)),
    _entry("internvl3", "78b", "internvl", "OpenGVLab/InternVL3-78B-hf", (78409, 5712), (8192, 80)),
    _entry(
        "llava-onevision",
        "0.5b",
        "llava-onevision",
        "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        (894, 400),
        (896, 24),
    ),
    _entry(
        "llava-onevision",
        "7b",
        "llava-onevision",
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        (8031, 415),
        (3584, 28),
    ),
    _entry(
        "llava-onevision",
        "72b",
        "llava-onevision",
        "llava-hf/llava-onevision-qwen2-72b-ov-hf",
        (73200, 480),
        (8192, 80),
    ),
    _entry(
        "smolvlm2",
        "256m",
        "smolvlm",
        "HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
        (256, 100),
        (576, 30),
    ),
    _entry(
        "smolvlm2",
        "500m",
        "smolvlm",
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        (507, 105),
        (960, 32),
    ),
    _entry(
        "smolvlm2",
        "2.2b",
        "smolvlm",
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        (2246, 434),
        (2048, 24),
    ),
    _entry("smollm2", "135m", "text", "HuggingFaceTB/SmolLM2-135M-Instruct", (135, 0), (576, 30)),
    _entry("smollm2", "360m", "text", "HuggingFaceTB/SmolLM2-360M-Instruct", (362, 0), (960, 32)),
    _entry("smollm2", "1.7b", "text", "HuggingFaceTB/SmolLM2-1.7B-Instruct", (1711, 0), (2048, 24)),
    _entry("qwen2.5", "0.5b", "text", "Qwen/Qwen2.5-0.5B-Instruct", (494, 0), (896, 24)),
    _entry("qwen2.5", "1.5b", "text", "Qwen/Qwen2.5-1.5B-Instruct", (1544, 0), (1536, 28)),
    _entry("qwen2.5", "3b", "text", "Qwen/Qwen2.5-3B-Instruct", (3086, 0), (2048, 36)),
    _entry("qwen2.5", "7b", "text", "Qwen/Qwen2.5-7B-Instruct", (7616, 0), (3584, 28)),
    _entry("qwen2.5", "14b", "text", "Qwen/Qwen2.5-14B-Instruct", (14770, 0), (5120, 48)),
    _entry("qwen2.5", "32b", "text", "Qwen/Qwen2.5-32B-Instruct", (32764, 0), (5120, 64)),
    _entry("qwen3", "0.6b", "text", "Qwen/Qwen3-0.6B", (596, 0), (1024, 28)),
    _entry("qwen3", "1.7b", "text", "Qwen/Qwen3-1.7B", (1721, 0), (2048, 28)),
    _entry("qwen3", "4b", "text", "Qwen/Qwen3-4B", (4022, 0), (2560, 36)),
    _entry("qwen3", "8b", "text", "Qwen/Qwen3-8B", (8191, 0), (4096, 36)),
    _entry("qwen3", "14b", "text", "Qwen/Qwen3-14B", (14768, 0), (5120, 40)),
    _entry("qwen3", "32b", "text", "Qwen/Qwen3-32B", (32762, 0), (5120, 64)),
)
