"""The models of an ensemble's members, in memory as many at a time as it holds.

A model that several members name is loaded once; members that differ in their heads only share one
backbone; a member of several models is their weights' average. Nothing is scored by files whose
checksum is not the one the ensemble was selected with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch
from safetensors import safe_open

from infra.errors import CorruptObjectError, InputError
from infra.object_store import open_store
from trainer.identity import digest
from trainer.members.ensemble_file import EnsembleMember, ModelReference
from trainer.model.backbone import Backbone
from trainer.model.model_files import (
    HEAD,
    backbone_digest,
    file_digests,
    load_model,
    model_folder,
)
from trainer.model.reward_model import RewardModel
from trainer.model.weight_averaging import average_weights

GIB = 1024**3
_FREE_SHARE = 0.7
"""Of the memory that is free; the rest is for activations and images."""
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


def available_bytes(device: torch.device) -> int:
    """Memory that weights may take on a device, with room left for everything else."""
    if device.type == "cuda":
        return int(_FREE_SHARE * torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    try:
        limit = int(_CGROUP_LIMIT.read_text()) - int(_CGROUP_USED.read_text())
    except (OSError, ValueError):  # no cgroup, or one without a limit
        limit = free
    return int(_FREE_SHARE * max(0, min(free, limit)))


def rounds(
    members: Mapping[int, EnsembleMember],
    *,
    limit_bytes: int,
    device: torch.device,
    stores: Mapping[str, str] | None = None,
) -> Iterator[dict[int, RewardModel]]:
    """Models by member's number, as many at a time as the limit allows; each member once.

    What is yielded is emptied when more is asked for.

    Args:
        members: By number.
        limit_bytes: For the weights of what is in memory at once.
        device: Where the models go.
        stores: Other places of the stores the file names, for models that were moved.

    Raises:
        MissingError: If a member's model is gone.
        CorruptObjectError: If it is not the one the ensemble was selected with.
        InputError: If a member alone is larger than the limit, or has no model at all.
    """
    shelf = _Shelf(device)
    held: dict[int, RewardModel] = {}
    for number, member in members.items():
        with ExitStack() as stack:
            files = [_open(reference, stores or {}, stack) for reference in member.models]
            if not files:
                raise InputError(
                    f"member {member.label} was given as a score table, so there is no model to "
                    "score with"
                )
            needed = shelf.needed_bytes(files)
            if not held:
                _refuse_too_large(member, needed, limit_bytes)
            elif shelf.bytes + needed > limit_bytes:
                yield held
                held.clear()  # the same mapping, so that whoever iterates holds nothing back
                shelf.clear()
                _refuse_too_large(member, shelf.needed_bytes(files), limit_bytes)
            held[number] = shelf.load(files)
    if held:
        yield held


@dataclass(frozen=True, slots=True)
class _ModelFiles:
    folder: Path
    digests: Mapping[str, str]
    digest: str
    backbone: str

    def bytes(self, *, without_backbone: bool) -> int:
        """Size of the weights in memory, which holds them in float32."""
        paths = sorted(self.folder.rglob("*.safetensors"))
        return sum(
            _float32_bytes(path) for path in paths if not without_backbone or path.name == HEAD
        )


@dataclass(slots=True)
class _Shelf:
    device: torch.device
    models: dict[str, RewardModel] = field(default_factory=dict)
    backbones: dict[str, Backbone] = field(default_factory=dict)
    bytes: int = 0

    def needed_bytes(self, files: Sequence[_ModelFiles]) -> int:
        """What loading a member would add."""
        if _key(files) in self.models:
            return 0
        shared = len(files) == 1 and files[0].backbone in self.backbones
        # An average needs two models at once while it is made.
        return sum(each.bytes(without_backbone=shared) for each in files[:2])

    def load(self, files: Sequence[_ModelFiles]) -> RewardModel:
        """A member's model, from what is there already where possible."""
        key = _key(files)
        if key not in self.models:
            if len(files) > 1:
                self.bytes += files[0].bytes(without_backbone=False)
                model = average_weights(
                    [each.folder for each in files], digests=[each.digests for each in files]
                )
            else:
                self.bytes += self.needed_bytes(files)
                backbone = self.backbones.get(files[0].backbone)
                model = load_model(files[0].folder, backbone=backbone, digests=files[0].digests)
                self.backbones[files[0].backbone] = model.backbone
            self.models[key] = model.to(self.device).eval()
        return self.models[key]

    def clear(self) -> None:
        """Forget everything."""
        self.models.clear()
        self.backbones.clear()
        self.bytes = 0


def _refuse_too_large(member: EnsembleMember, needed: int, limit_bytes: int) -> None:
    if needed > limit_bytes:
        raise InputError(
            f"member {member.label} needs {needed / GIB:.2f} GiB for its weights, but at most "
            f"{limit_bytes / GIB:.2f} GiB may be used; allow more or free some"
        )


def _key(files: Sequence[_ModelFiles]) -> str:
    return files[0].digest if len(files) == 1 else digest([each.digest for each in files])


def _open(reference: ModelReference, stores: Mapping[str, str], stack: ExitStack) -> _ModelFiles:
    store = open_store(stores.get(reference.store, reference.store))
    folder = stack.enter_context(model_folder(store, reference.identity))
    files = file_digests(folder)
    found = digest(files)
    if found != reference.model_digest:
        raise CorruptObjectError(
            f"the model of trial {reference.identity[:12]} has digest {found[:12]}, but the "
            f"ensemble was selected with {reference.model_digest[:12]}; build the ensemble again"
        )
    return _ModelFiles(folder, files, found, backbone_digest(files))


def _float32_bytes(path: Path) -> int:
    total = 0
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 -- not a mapping
            size = 4
            for length in file.get_slice(name).get_shape():
                size *= length
            total += size
    return total
