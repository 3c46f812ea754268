"""Checkpoints in the object store: shards of every rank, then a manifest that makes them count.

The manifest is written last and holds the sha256 of every file; its own digest is the reference
others keep. Shards are pickles by DeepSpeed's nature, so nothing is loaded whose digest is not
the one recorded. Without a manifest there is no checkpoint; one that is not whole is refused, and
the one before it is taken.
Files are hashed and uploaded by a thread while training goes on; the manifest is written where all
ranks meet again.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from infra.errors import CorruptObjectError, DamagedTrial, MissingObjectError, OtherLayoutTrial
from infra.frozen import Frozen
from infra.object_store import ObjectStore
from trainer.config import TrainerConfig
from trainer.gangs.gang import Gang
from trainer.identity import canonical_json
from trainer.reporting import CheckpointReference

if TYPE_CHECKING:
    from trainer.training.deepspeed_engine import DeepSpeedEngine

_STEP = re.compile(r"step-(\d+)/")

KEPT = 2
"""Checkpoints kept while a trial runs: the newest, and one to fall back on."""


class Manifest(Frozen):
    """What a complete checkpoint consists of."""

    version: int = 1
    identity: str
    step: int
    world_size: int
    zero_stage: int
    files: dict[str, str]
    """Sha256 by path inside the checkpoint's folder."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A checkpoint whose files are on their way."""

    step: int
    local: tempfile.TemporaryDirectory[str]
    digests: Future[dict[str, str]]


@dataclass(frozen=True, slots=True)
class WholeCheckpoint:
    """A checkpoint on this disk, every file of it as its manifest says."""

    reference: CheckpointReference
    local: tempfile.TemporaryDirectory[str]
    refused: tuple[str, ...]
    """Newer ones that were not whole, and why."""

    @property
    def step(self) -> int:
        """Optimizer steps done when it was made."""
        return self.reference.step

    @property
    def note(self) -> str:
        """What is to be said of those that were refused; empty where none was."""
        if not self.refused:
            return ""
        return f"{'; '.join(self.refused)}; trained on from step {self.step}"

    def discard(self) -> None:
        """Remove its files from this disk; silent when they are gone."""
        self.local.cleanup()


class Checkpoints:
    """The checkpoints of one trial, as one rank sees them."""

    def __init__(
        self,
        store: ObjectStore,
        identity: str,
        config: TrainerConfig,
        gang: Gang,
        *,
        scratch: Path | None = None,
    ) -> None:
        """Those in a store.

        Args:
            store: Where they lie.
            identity: The trial's.
            config: Its machine says how they are laid out.
            gang: Of this rank.
            scratch: Where copies of them lie for a while; where all temporary files do when absent.
        """
        self._scratch = scratch
        self._store = store
        self._identity = identity
        self._config = config
        self._gang = gang
        self._prefix = f"trials/{identity}/checkpoints/"
        self._pending: _Pending | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rmsweep-checkpoint")

    def begin(self, engine: DeepSpeedEngine, step: int) -> None:
        """Take the state after `step` steps and start to put it into the store.

        Every rank takes part. Training may go on at once: what is uploaded is a copy on this disk.
        A checkpoint of the same step that is under way already is left to go on.
        """
        if self._pending is not None and self._pending.step == step:
            return
        assert self._pending is None, "finish the last checkpoint before the next one"
        local = self._local()
        folder = Path(local.name)
        engine.save(folder)
        (folder / "random").mkdir(exist_ok=True)
        save_file(_random_states(), folder / "random" / f"rank-{self._gang.rank}.safetensors")
        digests = self._thread.submit(self._upload, folder, step)
        self._pending = _Pending(step, local, digests)

    def finish(self) -> CheckpointReference | None:
        """Make the checkpoint that was begun count, once every rank's files are in the store.

        Every rank takes part. Without it there is no manifest, and so no checkpoint.

        Raises:
            StoreError: If a file could not be put there.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return None
        with pending.local:
            files = pending.digests.result()
        everyone = [json.loads(part) for part in self._gang.gather(json.dumps(files).encode())]
        manifest = Manifest(
            identity=self._identity,
            step=pending.step,
            world_size=self._gang.size,
            zero_stage=self._config.machine.zero_stage,
            files={name: digest for part in everyone for name, digest in part.items()},
        )
        data = canonical_json(manifest.model_dump()).encode()
        if self._gang.leads:
            self._store.write(f"{self._folder(pending.step)}manifest.json", data)
            self._forget_all_but(KEPT, newest=pending.step)
        self._gang.wait()
        digest = hashlib.sha256(data).hexdigest()
        return CheckpointReference(step=pending.step, manifest_sha256=digest)

    def _upload(self, local: Path, step: int) -> dict[str, str]:
        """Sha256 by name of this rank's files, all of them in the store."""
        files = {}
        for path in sorted(each for each in local.rglob("*") if each.is_file()):
            relative = path.relative_to(local).as_posix()
            if "/" in relative:  # the scripts DeepSpeed copies in beside the shards stay out
                self._store.upload(path, self._folder(step) + relative)
                files[relative] = _file_sha256(path)
        return files

    def _local(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="rmsweep-checkpoint-", dir=self._scratch)

    def _folder(self, step: int) -> str:
        return f"{self._prefix}step-{step}/"

    def fetch(self, references: Sequence[CheckpointReference]) -> WholeCheckpoint:
        """Bring the first of these checkpoints that is whole onto this disk.

        Every rank takes part, and all of them take the same one: what is damaged for one of them
        is refused by all.

        Args:
            references: As they were recorded, newest first.

        Raises:
            DamagedTrial: If none is whole.
            OtherLayoutTrial: If the ranks or the ZeRO stage are not those it was saved with.
        """
        refused: list[str] = []
        for reference in references:
            local = self._local()
            reason = self._download(reference, Path(local.name))
            reasons = [part.decode() for part in self._gang.gather(reason.encode())]
            if not any(reasons):
                return WholeCheckpoint(reference, local, tuple(refused))
            local.cleanup()
            why = next(each for each in reasons if each)
            refused.append(f"the checkpoint at step {reference.step} was refused: {why}")
        raise DamagedTrial(f"{'; '.join(refused)}; no other is left, so train from the beginning")

    def _download(self, reference: CheckpointReference, local: Path) -> str:
        """Every file of a checkpoint into a folder; why it is not whole, or nothing."""
        folder = self._folder(reference.step)
        try:
            manifest = read_manifest(self._store, folder, reference)
            self._check_layout(manifest)
            for relative, digest in manifest.files.items():
                self._store.download(folder + relative, local / relative)
                if _file_sha256(local / relative) != digest:
                    return f"{folder}{relative} is not the file its manifest names"
        except (CorruptObjectError, MissingObjectError) as error:
            return str(error)
        return ""

    def _check_layout(self, manifest: Manifest) -> None:
        machine = self._config.machine
        if (manifest.world_size, manifest.zero_stage) != (self._gang.size, machine.zero_stage):
            raise OtherLayoutTrial(
                f"the checkpoint at step {manifest.step} was saved by {manifest.world_size} ranks "
                f"at ZeRO stage {manifest.zero_stage}, but this attempt has {self._gang.size} at "
                f"stage {machine.zero_stage}; set machine.workers and machine.zero_stage back, or "
                "train from the beginning"
            )

    def load(self, engine: DeepSpeedEngine, whole: WholeCheckpoint) -> None:
        """Take the state of a checkpoint into an engine; its files on this disk go."""
        folder = Path(whole.local.name)
        engine.load(folder)
        _restore_random_states(load_file(folder / f"random/rank-{self._gang.rank}.safetensors"))
        whole.discard()

    def delete_all(self) -> None:
        """Remove every checkpoint, once the model is saved."""
        if self._gang.leads:
            self._forget_all_but(0)

    def _forget_all_but(self, kept: int, newest: int | None = None) -> None:
        steps: dict[int, list[str]] = {}
        for key in self._store.keys(self._prefix):
            named = _STEP.match(key.removeprefix(self._prefix))
            if named is not None:  # whatever else lies there is somebody's own
                steps.setdefault(int(named[1]), []).append(key)
        # Steps after the newest one are what an earlier attempt left half written.
        known = sorted(step for step in steps if newest is None or step <= newest)
        stale = set(steps) - set(known[len(known) - kept :] if kept else ())
        for step in sorted(stale):
            # The manifest goes first, so that a half deleted checkpoint does not count.
            for key in sorted(steps[step], key=lambda key: not key.endswith("manifest.json")):
                self._store.delete(key)


def read_manifest(store: ObjectStore, folder: str, reference: CheckpointReference) -> Manifest:
    """The manifest of a checkpoint.

    Raises:
        CorruptObjectError: If it is not the one the reference was made from.
        MissingObjectError: If there is none.
    """
    try:
        data = store.read(f"{folder}manifest.json")
    except MissingObjectError as error:
        raise MissingObjectError(f"there is no complete checkpoint at {folder}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != reference.manifest_sha256:
        raise CorruptObjectError(
            f"{folder}manifest.json has digest {found[:12]}, but {reference.manifest_sha256[:12]} "
            "was recorded"
        )
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise CorruptObjectError(f"{folder}manifest.json is no manifest: {error}") from error


def _random_states() -> dict[str, torch.Tensor]:
    states = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_random_states(states: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
