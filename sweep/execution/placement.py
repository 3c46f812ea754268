"""Where a gang fits: bundles of resources for a trial, and Tune's request made of them.

A gang that fits on one machine is one bundle, so its ranks share memory and their actor sees all
their GPUs; a larger one is one bundle per machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ray.tune import PlacementGroupFactory

from infra.errors import InputError
from sweep.execution.cluster import Cluster, Node
from trainer.config import MachineConfig

Bundle = Mapping[str, float]
GANG_KEY = "gang"


def gang_bundles(machine: MachineConfig, cluster: Cluster) -> tuple[Bundle, ...]:
    """What a gang reserves on this cluster.

    Raises:
        InputError: If no machine of the cluster can hold the gang.
    """
    gpus = 1.0 if cluster.gpus else 0.0
    bundle = {"CPU": float(machine.threads * machine.workers)}
    if gpus:
        bundle["GPU"] = gpus * machine.workers
    if not any(_holds(node, bundle) for node in cluster.nodes):
        largest = max(cluster.nodes, key=lambda node: (node.gpus, node.cpus))
        raise InputError(
            f"a trial asks for {machine.workers} worker(s) with {machine.threads} CPU thread(s)"
            f"{' and a GPU' if gpus else ''} each on one machine; the largest machine of the "
            f"cluster has {largest.cpus:g} CPUs and {largest.gpus:g} GPUs; lower machine.workers "
            "or machine.threads, raise RMSWEEP_CPUS, or use a larger cluster"
        )
    return (bundle,)


def device_count(machines: Iterable[MachineConfig], cluster: Cluster) -> int:
    """Workers the cluster can hold at once: its GPUs, or CPUs by the most threads one takes."""
    if cluster.gpus:
        return int(cluster.gpus)
    threads = max((machine.threads for machine in machines), default=1)
    return sum(int(node.cpus // threads) for node in cluster.nodes)


def placement_request(config: Mapping[str, Any]) -> PlacementGroupFactory:
    """Tune's resource request for a suggested config; all bundles are granted at once."""
    return PlacementGroupFactory([dict(bundle) for bundle in config[GANG_KEY]])


def _holds(node: Node, bundle: Bundle) -> bool:
    return node.cpus >= bundle.get("CPU", 0.0) and node.gpus >= bundle.get("GPU", 0.0)
