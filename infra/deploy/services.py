"""The ledger's PostgreSQL and MLflow's server in Kubernetes, for places that are `here`.

Both are reached by the head of their own team alone, and both keep what they have on claims that
outlive every cluster. MLflow never answers without a password, its liveness probe excepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infra.deploy.deployment import HERE, Deployment
from infra.deploy.variables import LEDGER_USER, SECRET

POSTGRES = "rmsweep-postgres"
MLFLOW = "rmsweep-mlflow"
MLFLOW_DATABASE = "mlflow"
Manifest = dict[str, Any]
OUR_USER = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
NO_RIGHTS = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def mlflow_command(postgres: str | None, *, hosts: Sequence[str]) -> str:
    """What starts the server: sign-in required, artifacts through it, answering to these hosts."""
    backend = (
        "sqlite:////data/mlflow.db"
        if postgres is None
        else f"postgresql+psycopg://{LEDGER_USER}@{postgres}:5432/{MLFLOW_DATABASE}"
    )
    return (
        "mlflow server --app-name=basic-auth --host=0.0.0.0 --port=5000 --workers=2"
        f" --backend-store-uri={backend} --artifacts-destination=/data/artifacts"
        f" --allowed-hosts={','.join(hosts)}"
    )


def services(deployment: Deployment, team: str) -> list[Manifest]:
    """What a team's places that are `here` consist of."""
    namespace = deployment.namespace(team)
    found: list[Manifest] = []
    if deployment.places.ledger == HERE:
        found += _postgres(deployment, namespace)
    if deployment.places.tracking == HERE:
        found += _mlflow(deployment, namespace)
    return found


def labels(name: str) -> dict[str, str]:
    """By which a service finds its pods, and a network policy too."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "rmsweep"}


def _meta(name: str, namespace: str) -> Manifest:
    return {"name": name, "namespace": namespace, "labels": labels(name)}


def _service(name: str, namespace: str, port: int) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(name, namespace),
        "spec": {
            "type": "ClusterIP",
            "selector": labels(name),
            "ports": [{"name": "main", "port": port, "targetPort": port, "protocol": "TCP"}],
        },
    }


def _claim(name: str, namespace: str, deployment: Deployment) -> Manifest:
    given = deployment.kubernetes
    storage_class = {"storageClassName": given.storage_class} if given.storage_class else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta(name, namespace),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": f"{given.service_storage_gib}Gi"}},
            **storage_class,
        },
    }


def _workload(name: str, namespace: str, pod: Manifest) -> Manifest:
    # Recreate: two servers must not write one claim.
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(name, namespace),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels(name)},
            "template": {
                "metadata": {"labels": labels(name)},
                "spec": {"automountServiceAccountToken": False} | pod,
            },
        },
    }


def _resources(cpu: str, memory: str) -> Manifest:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def _postgres(deployment: Deployment, namespace: str) -> list[Manifest]:
    probe = {"exec": {"command": ["pg_isready", "-U", LEDGER_USER]}, "periodSeconds": 10}
    container = {
        "name": "postgres",
        "image": deployment.images.postgres,
        "env": [
            {"name": "POSTGRES_USER", "value": LEDGER_USER},
            {"name": "POSTGRES_DB", "value": LEDGER_USER},
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
            {"name": "POSTGRES_INITDB_ARGS", "value": "--auth-host=scram-sha-256"},
            {"name": "POSTGRES_PASSWORD_FILE", "value": "/run/rmsweep/postgres-password"},
        ],
        "ports": [{"containerPort": 5432}],
        "readinessProbe": probe,
        "livenessProbe": probe | {"failureThreshold": 6, "initialDelaySeconds": 30},
        "resources": _resources("500m", "2Gi"),
        "securityContext": NO_RIGHTS,
        "volumeMounts": [
            {"name": "data", "mountPath": "/var/lib/postgresql/data"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
            {"name": "databases", "mountPath": "/docker-entrypoint-initdb.d", "readOnly": True},
            {"name": "password", "mountPath": "/run/rmsweep", "readOnly": True},
        ],
    }
    password = {
        "secretName": SECRET,
        "items": [{"key": "postgres-password", "path": "postgres-password"}],
        "defaultMode": 0o440,
    }
    pod = {
        # 999 is the image's own postgres user.
        "securityContext": OUR_USER | {"runAsUser": 999, "runAsGroup": 999, "fsGroup": 999},
        "containers": [container],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": POSTGRES}},
            {"name": "run", "emptyDir": {}},
            {"name": "databases", "configMap": {"name": POSTGRES}},
            {"name": "password", "secret": password},
        ],
    }
    databases = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _meta(POSTGRES, namespace),
        "data": {"databases.sql": f"CREATE DATABASE {MLFLOW_DATABASE};\n"},
    }
    return [
        databases,
        _claim(POSTGRES, namespace, deployment),
        _workload(POSTGRES, namespace, pod),
        _service(POSTGRES, namespace, 5432),
    ]


def _mlflow(deployment: Deployment, namespace: str) -> list[Manifest]:
    own_ledger = deployment.places.ledger == HERE
    reference = {"name": SECRET}
    secrets = {"MLFLOW_FLASK_SERVER_SECRET_KEY": "mlflow-secret-key"}
    if own_ledger:
        secrets["PGPASSWORD"] = "postgres-password"
    probe = {"httpGet": {"path": "/health", "port": 5000}, "periodSeconds": 15}
    container = {
        "name": "mlflow",
        "image": deployment.image(0),
        # `/health` is answered whatever host it is asked as, so the kubelet needs no entry.
        "command": [
            *("tini", "--"),
            *mlflow_command(POSTGRES if own_ledger else None, hosts=(f"{MLFLOW}:5000",)).split(),
        ],
        "env": [
            {"name": "MLFLOW_AUTH_CONFIG_PATH", "value": "/run/rmsweep/mlflow-auth.ini"},
            *(
                {"name": name, "valueFrom": {"secretKeyRef": reference | {"key": key}}}
                for name, key in secrets.items()
            ),
        ],
        "ports": [{"containerPort": 5000}],
        "startupProbe": probe | {"failureThreshold": 20},
        "readinessProbe": probe,
        "livenessProbe": probe | {"failureThreshold": 6},
        "resources": _resources("500m", "3Gi"),
        "securityContext": NO_RIGHTS,
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "auth", "mountPath": "/run/rmsweep", "readOnly": True},
        ],
    }
    auth = {
        "secretName": SECRET,
        "items": [{"key": "mlflow-auth.ini", "path": "mlflow-auth.ini"}],
        "defaultMode": 0o440,
    }
    pod = {
        "securityContext": OUR_USER,
        "containers": [container],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": MLFLOW}},
            {"name": "auth", "secret": auth},
        ],
    }
    return [
        _claim(MLFLOW, namespace, deployment),
        _workload(MLFLOW, namespace, pod),
        _service(MLFLOW, namespace, 5000),
    ]
