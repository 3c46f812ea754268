"""Kueue: what every team may have at once, and who goes first.

Teams form a cohort: what one leaves unused, another may borrow until it is asked back. Spot and
lasting machines are flavors of their own, so that a job is admitted to one kind and stays there.
"""

from __future__ import annotations

from typing import Any

from infra.deploy.deployment import Deployment, Toleration, WorkerGroup

VERSION = "kueue.x-k8s.io/v1beta2"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
QUEUE = "rmsweep"
GPU = "nvidia.com/gpu"
SPOT_TAINT = Toleration(key="rmsweep/spot", value="true")
"""Taint of machines that may be taken away, so that nothing else is put on them."""
PRIORITIES = {"rmsweep-urgent": 1000, "rmsweep-usual": 100, "rmsweep-idle": 10}
Manifest = dict[str, Any]


def kueue(deployment: Deployment) -> list[Manifest]:
    """Flavors, a queue per team, and priorities."""
    kinds = [spot for spot in (False, True) if any(g.spot is spot for g in deployment.workers)]
    if False not in kinds:
        kinds.insert(0, False)  # heads are never on machines that may be taken away
    manifests = [_flavor(deployment, spot=spot) for spot in kinds]
    for team in deployment.teams:
        manifests += [_cluster_queue(deployment, team, kinds), _local_queue(deployment, team)]
    manifests += [
        {
            "apiVersion": VERSION,
            "kind": "WorkloadPriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": f"Label a RayJob with {PRIORITY_LABEL}: {name}.",
        }
        for name, value in PRIORITIES.items()
    ]
    return manifests


def tolerations(group: WorkerGroup) -> list[Manifest]:
    """Taints the pods of a group accept."""
    own = (*group.tolerations, *((SPOT_TAINT,) if group.spot else ()))
    if group.gpus:
        own = (*own, Toleration(key=GPU))
    return [
        {
            "key": one.key,
            "operator": "Exists" if one.value is None else "Equal",
            **({} if one.value is None else {"value": one.value}),
            "effect": one.effect,
        }
        for one in own
    ]


def _flavor(deployment: Deployment, *, spot: bool) -> Manifest:
    labels = {"rmsweep/spot": "true"} if spot else {}
    taint = {"key": SPOT_TAINT.key, "value": "true", "effect": SPOT_TAINT.effect}
    return {
        "apiVersion": VERSION,
        "kind": "ResourceFlavor",
        "metadata": {"name": _flavor_name(deployment, spot=spot)},
        "spec": {"nodeLabels": labels, "nodeTaints": [taint]} if spot else {},
    }


def _flavor_name(deployment: Deployment, *, spot: bool) -> str:
    return f"{deployment.name}-{'spot' if spot else 'lasting'}"


def _cluster_queue(deployment: Deployment, team: str, kinds: list[bool]) -> Manifest:
    covered = ["cpu", "memory", *([GPU] if deployment.on_gpus else [])]
    return {
        "apiVersion": VERSION,
        "kind": "ClusterQueue",
        "metadata": {"name": deployment.namespace(team)},
        "spec": {
            "cohortName": deployment.name,
            "queueingStrategy": "BestEffortFIFO",
            "namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": deployment.namespace(team)}
            },
            "preemption": {
                "withinClusterQueue": "LowerPriority",
                "reclaimWithinCohort": "LowerPriority",
            },
            "resourceGroups": [
                {
                    "coveredResources": covered,
                    "flavors": [
                        {
                            "name": _flavor_name(deployment, spot=spot),
                            "resources": [
                                {"name": name, "nominalQuota": quota}
                                for name, quota in _quota(deployment, covered, spot=spot)
                            ],
                        }
                        for spot in kinds
                    ],
                }
            ],
        },
    }


def _quota(
    deployment: Deployment, covered: list[str], *, spot: bool
) -> list[tuple[str, int | str]]:
    """All a team's groups of a kind at their largest; the heads are on lasting machines."""
    groups = [group for group in deployment.workers if group.spot is spot]
    head = 0 if spot else 1
    cpus = sum(group.cpus * group.most for group in groups) + head * (deployment.head.cpus + 1)
    memory = sum(group.memory_gib * group.most for group in groups)
    memory += head * (deployment.head.memory_gib + 2)
    found: dict[str, int | str] = {"cpu": cpus, "memory": f"{memory}Gi"}
    found[GPU] = sum(group.gpus * group.most for group in groups)
    return [(name, found[name]) for name in covered]


def _local_queue(deployment: Deployment, team: str) -> Manifest:
    return {
        "apiVersion": VERSION,
        "kind": "LocalQueue",
        "metadata": {"name": QUEUE, "namespace": deployment.namespace(team)},
        "spec": {"clusterQueue": deployment.namespace(team)},
    }
