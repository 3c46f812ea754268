"""KubeRay: a team's lasting cluster for `rmsweep submit`, and a job with a cluster of its own.

The driver is on the head, which trains nothing and is never on a machine that may be taken away.
KubeRay hands the team's token, a Kubernetes secret, to every process of Ray: all ask for it.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

from infra.deploy.deployment import Deployment, Machine, WorkerGroup
from infra.deploy.kueue import GPU, PRIORITY_LABEL, QUEUE, QUEUE_LABEL, tolerations
from infra.deploy.services import NO_RIGHTS, OUR_USER
from infra.deploy.team_space import HEAD_ACCOUNT, SETTINGS, WORKER_ACCOUNT
from infra.deploy.variables import (
    DRIVER_SECRETS,
    MODELS,
    RAY_SECRET,
    STORE_SECRETS,
    from_secret,
    plain,
    store_places,
)

CLUSTER = "rmsweep"
SWEEP_FOLDER = "/sweep"
ELASTIC = "kueue.x-k8s.io/elastic-job"
"""Lets an admitted job grow and shrink; Kueue refuses Ray's autoscaler without it."""
END_SECONDS = 10
"""Of a pod's grace, what is left for Ray itself to end."""
Manifest = dict[str, Any]


def ray_cluster(deployment: Deployment, team: str) -> Manifest:
    """The cluster a team submits to."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": _meta(CLUSTER, deployment, team),
        "spec": _cluster_spec(deployment, team, sweep=None, grows=True),
    }


def ray_job(deployment: Deployment, team: str) -> Manifest:
    """One sweep file on a cluster made for it, and made anew when its head is lost."""
    sweep = "rmsweep-sweep"
    elastic = deployment.kubernetes.queue_jobs and deployment.kubernetes.elastic_jobs
    grows = elastic or not deployment.kubernetes.queue_jobs
    meta = _meta("rmsweep-job", deployment, team)
    if deployment.kubernetes.queue_jobs:
        meta["labels"] |= {QUEUE_LABEL: QUEUE, PRIORITY_LABEL: "rmsweep-usual"}
    if elastic:
        meta["annotations"] = {ELASTIC: "true"}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": meta,
        "spec": {
            "entrypoint": f"rmsweep supervise {SWEEP_FOLDER}/sweep.yaml",
            "submissionMode": "K8sJobMode",
            "submitterPodTemplate": _submitter(deployment),
            "backoffLimit": deployment.restarts,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": 600,
            **({"suspend": True} if deployment.kubernetes.queue_jobs else {}),
            "rayClusterSpec": _cluster_spec(deployment, team, sweep=sweep, grows=grows),
        },
    }


def _cluster_spec(deployment: Deployment, team: str, *, sweep: str | None, grows: bool) -> Manifest:
    return {
        "rayVersion": importlib.metadata.version("ray"),
        "authOptions": {"mode": "token", "secretName": RAY_SECRET},
        "enableInTreeAutoscaling": grows,
        **({"autoscalerOptions": _AUTOSCALER} if grows else {}),
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
            "template": _head(deployment, sweep),
        },
        "workerGroupSpecs": [
            _workers(deployment, team, group, grows=grows) for group in deployment.workers
        ],
    }


_AUTOSCALER: Manifest = {
    "version": "v2",
    "upscalingMode": "Default",
    # Longer than a driver needs to give freed machines to the next trial.
    "idleTimeoutSeconds": 300,
    "securityContext": NO_RIGHTS,
    "resources": {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "2Gi"},
    },
}


def _head(deployment: Deployment, sweep: str | None) -> Manifest:
    container = _container("ray-head", deployment.image(0), deployment.head)
    container |= {
        "envFrom": [{"configMapRef": {"name": SETTINGS}}],
        "env": from_secret((*STORE_SECRETS, *DRIVER_SECRETS)),
        "ports": [
            {"name": "gcs-server", "containerPort": 6379},
            {"name": "dashboard", "containerPort": 8265},
        ],
    }
    pod = _pod(deployment, container, HEAD_ACCOUNT)
    if sweep is not None:
        pod["volumes"].append({"name": "sweep", "configMap": {"name": sweep}})
        container["volumeMounts"].append(
            {"name": "sweep", "mountPath": SWEEP_FOLDER, "readOnly": True}
        )
    return {"metadata": {"labels": {"rmsweep/role": "head"}}, "spec": pod}


def _workers(deployment: Deployment, team: str, group: WorkerGroup, *, grows: bool) -> Manifest:
    container = _container("ray-worker", deployment.image(group.gpus), group)
    container["env"] = [
        *plain(store_places(deployment, team)),
        *from_secret(STORE_SECRETS),
    ]
    # Before SIGTERM, which ends Ray and with it all ranks: trials checkpoint and go on elsewhere.
    seconds = str(deployment.grace_seconds - END_SECONDS)
    leaving = ["python", "-m", "sweep.execution.leaving", "--seconds", seconds]
    container["lifecycle"] = {"preStop": {"exec": {"command": leaving}}}
    pod = _pod(deployment, container, WORKER_ACCOUNT)
    labels = dict(group.node_labels) | ({"rmsweep/spot": "true"} if group.spot else {})
    pod |= {"tolerations": tolerations(group)}
    if labels:
        pod["nodeSelector"] = labels
    return {
        "groupName": group.name,
        "replicas": group.least if grows else group.most,
        "minReplicas": group.least,
        "maxReplicas": group.most,
        "rayStartParams": {},
        "template": {"metadata": {"labels": {"rmsweep/role": "worker"}}, "spec": pod},
    }


def _pod(deployment: Deployment, container: Manifest, account: str) -> Manifest:
    volumes: list[Manifest] = [
        # DeepSpeed and torch pass tensors between ranks through it; the default is 64 MB.
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": _half(container)}},
        {"name": "ray", "emptyDir": {}},
    ]
    if deployment.kubernetes.models_claim:
        claim = {"claimName": deployment.kubernetes.models_claim, "readOnly": True}
        volumes.append({"name": "models", "persistentVolumeClaim": claim})
        container["volumeMounts"].append({"name": "models", "mountPath": MODELS, "readOnly": True})
    return {
        "serviceAccountName": account,
        "restartPolicy": "Never",  # KubeRay makes a new pod; a pod used again is the same Ray node
        "terminationGracePeriodSeconds": deployment.grace_seconds,
        "securityContext": OUR_USER,
        "containers": [container],
        "volumes": volumes,
    }


def _container(name: str, image: str, machine: Machine) -> Manifest:
    amounts: dict[str, Any] = {"cpu": str(machine.cpus), "memory": f"{machine.memory_gib}Gi"}
    if machine.gpus:
        amounts[GPU] = str(machine.gpus)
    return {
        "name": name,
        "image": image,
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": NO_RIGHTS,
        "volumeMounts": [
            {"name": "shared-memory", "mountPath": "/dev/shm"},
            {"name": "ray", "mountPath": "/tmp/ray"},
        ],
    }


def _half(container: Manifest) -> str:
    memory = int(container["resources"]["limits"]["memory"].removesuffix("Gi"))
    return f"{max(1, memory // 2)}Gi"


def _submitter(deployment: Deployment) -> Manifest:
    container = {
        "name": "submitter",
        "image": deployment.image(0),
        "resources": {
            "requests": {"cpu": "200m", "memory": "512Mi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        },
        "securityContext": NO_RIGHTS,
    }
    return {
        "metadata": {"labels": {"rmsweep/role": "submitter"}},
        "spec": {
            "serviceAccountName": WORKER_ACCOUNT,
            "restartPolicy": "Never",
            "securityContext": OUR_USER,
            "containers": [container],
        },
    }


def _meta(name: str, deployment: Deployment, team: str) -> Manifest:
    labels = {"app.kubernetes.io/part-of": "rmsweep", "rmsweep/team": team}
    return {"name": name, "namespace": deployment.namespace(team), "labels": labels}
