"""Where a gang fits: bundles of resources for a trial, and Tune's request made of them.

A gang that fits on one machine is one bundle, so its ranks share memory and their actor sees all
their GPUs; a larger one is one bundle per machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ray.tune import PlacementGroupFactory

from infra.errors import InputError
from sweep.execution.cluster import Cluster, Node
from trainer.config import MachineConfig

Bundle = Mapping[str, float]
Holding = dict[str, Any]
"""What an actor holds, as a Tune config says it."""
GANG_KEY = "gang"
GENERATION_KEY = "generation"
AVOIDED_KEY = "avoided"
NODE_LABEL = "ray.io/node-id"
"""Every machine has it; a bundle can be kept off one by it."""


def gang_bundles(machine: MachineConfig, cluster: Cluster) -> tuple[Bundle, ...]:
    """What a gang reserves on this cluster: one bundle where one machine can hold it.

    Raises:
        InputError: If all machines of the cluster together cannot hold the gang, or none has the
            GPUs it needs.
    """
    if machine.needs_gpu and not cluster.on_gpus:
        raise InputError(
            f"a trial asks for GPUs (machine.needs_gpu), the {len(cluster.nodes)} machine(s) of "
            "the cluster have none; use a cluster with GPUs, or set machine.needs_gpu to false"
        )
    rooms = sorted((_room(node, machine.threads, cluster) for node in cluster.nodes), reverse=True)
    if not rooms or sum(rooms) < machine.workers:
        raise InputError(_too_large(machine, cluster, sum(rooms)))
    if rooms[0] >= machine.workers:
        return (_bundle(machine, machine.workers, cluster),)
    bundles = []
    left = machine.workers
    for room in rooms:
        ranks = min(room, left)
        if ranks:
            bundles.append(_bundle(machine, ranks, cluster))
        left -= ranks
    return tuple(bundles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a gang reserves, and where not."""

    bundles: tuple[Bundle, ...]
    parts: tuple[int, ...]
    """Ranks in each."""
    avoided: tuple[str, ...] = ()
    """Machines none of it may lie on, by Ray's ids."""


def find_place(machine: MachineConfig, cluster: Cluster, failed: Collection[str] = ()) -> Place:
    """Bundles for a gang that some machines have failed.

    It is tried on others where they can hold it at all, and waits for them while they are busy.

    Raises:
        InputError: As `gang_bundles`.
    """
    others = replace(cluster, nodes=tuple(n for n in cluster.nodes if n.node_id not in failed))
    there = {node.node_id for node in cluster.nodes}
    try:
        bundles, avoided = gang_bundles(machine, others), tuple(sorted(there.intersection(failed)))
    except InputError:
        bundles, avoided = gang_bundles(machine, cluster), ()
    parts = tuple(ranks_in(bundle, machine) for bundle in bundles)
    return Place(bundles=bundles, parts=parts, avoided=avoided)


def ranks_in(bundle: Bundle, machine: MachineConfig) -> int:
    """How many ranks of the gang a bundle is for."""
    return round(bundle["CPU"] / machine.threads)


def device_count(machines: Iterable[MachineConfig], cluster: Cluster) -> int:
    """Devices the cluster has, each with the most threads that what is on one takes."""
    threads = max((each.threads * each.trials_per_gpu for each in machines), default=1)
    return sum(_room(node, threads, cluster) for node in cluster.nodes)


class GangRequest(PlacementGroupFactory):  # type: ignore[misc]  # Ray is untyped here
    """What a gang reserves; Tune gives a free actor or group only to a request equal to its own.

    A generation ends when machines are about to leave: what lies on them is not used again. Nothing
    of it lies on a machine that is avoided.
    """

    def __init__(
        self, bundles: Sequence[Bundle], generation: int, avoided: Sequence[str] = ()
    ) -> None:
        off = {NODE_LABEL: f"!in({','.join(avoided)})"}
        label = {"bundle_label_selector": [off] * len(bundles)} if avoided else {}
        super().__init__([dict(bundle) for bundle in bundles], **label)
        self.generation = generation

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, GangRequest) and self.generation == other.generation
        return same and bool(super().__eq__(other))

    def __hash__(self) -> int:
        return hash((super().__hash__(), self.generation))


def holding_of(config: Mapping[str, Any]) -> Holding:
    """What an actor holds that was made for a suggested config."""
    return {key: config[key] for key in (GANG_KEY, GENERATION_KEY, AVOIDED_KEY)}


def placement_request(config: Mapping[str, Any]) -> PlacementGroupFactory:
    """Tune's resource request for a suggested config; all bundles are granted at once."""
    return GangRequest(config[GANG_KEY], config[GENERATION_KEY], config[AVOIDED_KEY])


def _room(node: Node, threads: int, cluster: Cluster) -> int:
    """Ranks a machine holds when nothing else runs on it."""
    by_threads = node.cpus // threads
    return int(min(by_threads, node.gpus) if cluster.on_gpus else by_threads)


def _bundle(machine: MachineConfig, ranks: int, cluster: Cluster) -> Bundle:
    bundle = {"CPU": float(machine.threads * ranks)}
    if cluster.on_gpus:
        bundle["GPU"] = ranks / machine.trials_per_gpu
    return bundle


def _too_large(machine: MachineConfig, cluster: Cluster, room: int) -> str:
    cpus, gpus = cluster.cpus, cluster.gpus
    device = " and a GPU" if cluster.on_gpus else ""
    return (
        f"a trial asks for {machine.workers} worker(s) with {machine.threads} CPU thread(s)"
        f"{device} each; the {len(cluster.nodes)} machine(s) of the cluster hold {room}, with "
        f"{cpus:g} CPUs and {gpus:g} GPUs together; lower machine.workers or "
        "machine.threads, raise RMSWEEP_CPUS, or use a larger cluster"
    )
