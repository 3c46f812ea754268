"""`submit`: a planned sweep, handed to a cluster's head as a Ray job; nothing of it runs here.

What travels is the sweep with its baseline written out, this project's sources, and the names of
places: never a secret, never data. The sources are named by content, so they travel once.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import yaml

from infra.clusters import ClusterEntry, environment_of
from infra.errors import InputError
from sweep.execution.cluster import Cluster, Node
from sweep.execution.environment import pins_for
from sweep.execution.head import Head, Machine, Submission
from sweep.execution.placement import gang_bundles
from sweep.execution.sender import PACKAGES, Sender
from sweep.execution.supervising import SENDER_FILE, SWEEP_FILE
from sweep.records.content import refuse_passwords

if TYPE_CHECKING:
    from sweep.engine.planning.plan import SweepPlan
    from trainer.config import TrainerConfig

EXCLUDED = ("**/__pycache__/**", "**/*.pyc")
_LOCAL = re.compile(r"^(/|\./|\.\./|~)")
_PATH_ENDINGS = ("path", "file", "folder", "images")


def submit(
    plan: SweepPlan, entry: ClusterEntry, home: Path, *, resuming: bool = False
) -> Submission:
    """Hand a sweep to a cluster; returns as soon as the cluster has accepted it.

    Args:
        plan: What is to be trained.
        entry: Where.
        home: This machine's, which remembers what a cluster's environment has.
        resuming: Only go on with what the cluster's ledger has, begin nothing there.

    Raises:
        InputError: If a file is only on this machine, a place would die with the head, the token
            is wrong, or the cluster runs another Ray or Python.
        StoreError: If no head answers.
    """
    environment = environment_of(entry)
    refuse_unsendable(plan, entry)
    head = refuse_another_ray(entry)
    if not entry.grows:
        _refuse_what_never_fits(plan, head.machines())
    pins = pins_for(head, home)
    with tempfile.TemporaryDirectory(prefix="rmsweep-") as folder:
        sender = write_parcel(plan, Path(folder))
        runtime_env: dict[str, Any] = {
            "working_dir": folder,
            "py_modules": [str(path) for path in source_folders()],
            "excludes": list(EXCLUDED),
            # What travels has no repository, and an image may say what it was built from.
            "env_vars": environment | {"RMSWEEP_COMMIT": sender.code},
        }
        if pins:
            runtime_env["pip"] = pins
        return head.submit(plan.sweep_id, runtime_env, resuming=resuming)


def refuse_unsendable(plan: SweepPlan, entry: ClusterEntry) -> None:
    """Refuse what no head need be asked about.

    Raises:
        InputError: If a file is only on this machine, a place would die with the head, or the
            sweep holds a password.
    """
    environment_of(entry)
    refuse_passwords(plan.spec.model_dump(mode="json"))
    _refuse_local_files(plan, entry)


def refuse_another_ray(entry: ClusterEntry) -> Head:
    """The cluster's head, refused if it is of another Ray: what it answers may mean other things.

    Raises:
        InputError: With both versions, or if the token is wrong.
        StoreError: If no head answers.
    """
    head = Head(entry)
    there = head.ray_version
    if there != ray.__version__:
        raise InputError(
            f"the cluster runs Ray {there}, this machine has {ray.__version__}; a sweep needs the "
            f"same on both: install ray=={there} here, or use a cluster with {ray.__version__}"
        )
    return head


def source_folders() -> list[Path]:
    """The folders of this project's packages, wherever they are installed."""
    root = Path(__file__).resolve().parents[2]
    return [root / package for package in PACKAGES]


def write_parcel(plan: SweepPlan, folder: Path) -> Sender:
    """Write what travels into a folder: the sweep, and what it was sent from, which is returned."""
    # Whole: without defaults, a design or a scheduler would lose the `kind` that says what it is.
    spec = plan.spec.model_dump(mode="json")
    (folder / SWEEP_FILE).write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    sender = Sender.here()
    (folder / SENDER_FILE).write_text(sender.model_dump_json(), encoding="utf-8")
    return sender


def _refuse_what_never_fits(plan: SweepPlan, machines: Sequence[Machine]) -> None:
    """Refuse gangs larger than all machines together; busy machines become free, these do not."""
    nodes = tuple(Node(cpus=one.cpus, gpus=one.gpus) for one in machines)
    if not nodes:
        return  # a head that has just been started; the driver looks again
    cluster = Cluster(embedded=False, nodes=nodes, on_gpus=any(node.gpus for node in nodes))
    for machine in {trial.config.machine for trial in plan.trials}:
        try:
            gang_bundles(machine, cluster)
        except InputError as error:
            raise InputError(
                f"{error}; say `grows: true` of a cluster that adds machines"
            ) from None


def _refuse_local_files(plan: SweepPlan, entry: ClusterEntry) -> None:
    """Name every file of the sweep that only this machine can see."""
    local: dict[str, str] = {}
    for where, path in _paths(plan):
        if not entry.sees(Path(path.removeprefix("file:")).expanduser().absolute()):
            local.setdefault(path, where)
    if not local:
        return
    listed = "\n".join(f"  {where}: {path}" for path, where in local.items())
    folders = ", ".join(entry.shared) or "none"
    raise InputError(
        f"the cluster at {entry.address} cannot see these files; put them on s3://, or into a "
        f"folder all its machines share (declared as `shared`: {folders}):\n{listed}"
    )


def _paths(plan: SweepPlan) -> Iterator[tuple[str, str]]:
    """Local files and folders any trial may come to need, also one that joins the sweep later."""
    for arm in plan.arms:
        yield from _trial_paths(arm.config)
    for axis in plan.axes:
        for level in axis.levels:
            for path, value in level.patch.items():
                yield from _local_texts(value, path)


def _trial_paths(config: TrainerConfig) -> Iterator[tuple[str, str]]:
    yield from _local_texts(config.backbone.path, "backbone.path")
    used = {*config.data.mix, *config.data.decontaminate.against}
    for benchmark in config.evaluation.benchmarks.values():
        used.update(benchmark.parts)
    for name in sorted(used):
        yield from _local_texts(config.data.source(name).settings, f"data.sources.{name}.settings")


def _local_texts(value: object, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _local_texts(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _local_texts(item, where)
    elif isinstance(value, str) and _is_local(value, named_path=where.endswith(_PATH_ENDINGS)):
        yield where, value


def _is_local(value: str, *, named_path: bool) -> bool:
    if "://" in value or value.startswith("file:"):
        return value.startswith("file:")
    return bool(_LOCAL.match(value)) or (named_path and os.path.lexists(value))
