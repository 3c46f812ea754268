"""One machine with Docker Compose or Podman: Ray, and every service a sweep uses.

Workers share a network with the head and the object store alone; the ledger and MLflow are on
another. Ports are published on the loopback, unless the settings say otherwise.
"""

from __future__ import annotations

from typing import Any

from infra.deploy.deployment import HERE, Deployment, Machine
from infra.deploy.services import MLFLOW_DATABASE, mlflow_command
from infra.deploy.templates import fill
from infra.deploy.variables import (
    DRIVER_PLACES,
    DRIVER_SECRETS,
    LEDGER_USER,
    STORE_SECRETS,
    places,
    store_places,
)
from infra.deploy.yaml_text import yaml_text

_FILES = {
    "AWS_ACCESS_KEY_ID": "s3_key_id",
    "AWS_SECRET_ACCESS_KEY": "s3_secret_key",
    "PGPASSWORD": "postgres_password",
    "MLFLOW_TRACKING_USERNAME": "mlflow_user",
    "MLFLOW_TRACKING_PASSWORD": "mlflow_password",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "mlflow_secret_key",
    "RMSWEEP_WEBHOOK": "webhook",
}
_RANDOM = ("ray_token", "postgres_password", "mlflow_password", "mlflow_secret_key")
S3_PORT = 8333
DASHBOARD = 8265
Service = dict[str, Any]


def compose(deployment: Deployment) -> dict[str, str]:
    """`compose.yaml`, and the script that makes its secrets."""
    own_s3 = deployment.places.s3_endpoint is None
    services: dict[str, Service] = {
        "ray-head": _head(deployment),
        "ray-worker": _worker(deployment),
    }
    if deployment.places.ledger == HERE:
        services["postgres"] = _postgres(deployment)
    if deployment.places.tracking == HERE:
        services["mlflow"] = _mlflow(deployment)
    if own_s3:
        services["s3"] = _s3(deployment)
    used = {secret for service in services.values() for secret in service.get("secrets", ())}
    volumes = {v.partition(":")[0] for s in services.values() for v in s.get("volumes", ())}
    document: dict[str, Any] = {
        "name": deployment.name,
        "services": services,
        # Sweeps may fetch models and data, so neither network is internal.
        "networks": {"cluster": {}, "services": {}},
        "volumes": {name: {} for name in sorted(volumes)},
        "secrets": {name: {"file": f"./secrets/{_file_of(name)}"} for name in sorted(used)},
    }
    if "postgres" in services:
        document["configs"] = {"databases": {"file": "./databases.sql"}}
    make_secrets = fill(
        "make-secrets.sh",
        random=" ".join(_RANDOM),
        user=LEDGER_USER,
        bucket=deployment.places.bucket,
        own_s3=own_s3,
    )
    files = {
        "compose/compose.yaml": yaml_text(
            document, f"Start with ./make-secrets.sh, then `docker compose up`: {deployment.name}."
        ),
        "compose/make-secrets.sh": make_secrets,
        "compose/.gitignore": "secrets/\n",
    }
    if "postgres" in services:
        files["compose/databases.sql"] = f"CREATE DATABASE {MLFLOW_DATABASE};\n"
    return files


def _file_of(secret: str) -> str:
    return {"s3_identities": "s3_identities.json", "mlflow_auth": "mlflow_auth.ini"}.get(
        secret, secret
    )


def _hardened(image: str, *, secrets: tuple[str, ...], networks: tuple[str, ...]) -> Service:
    return {
        "image": image,
        "restart": "unless-stopped",
        "networks": list(networks),
        "secrets": list(secrets),
        "security_opt": ["no-new-privileges:true"],
    }


def _ours(
    image: str, *, variables: tuple[str, ...], networks: tuple[str, ...], token: bool
) -> Service:
    """A container of our image, whose entry point reads secrets from files."""
    files = tuple(_FILES[name] for name in variables) + (("ray_token",) if token else ())
    environment = {f"{name}_FILE": f"/run/secrets/{_FILES[name]}" for name in variables}
    if token:
        environment["RAY_AUTH_TOKEN_PATH"] = "/run/secrets/ray_token"
    return _hardened(image, secrets=files, networks=networks) | {
        "environment": environment,
        "cap_drop": ["ALL"],
    }


def _store_places(deployment: Deployment) -> dict[str, str]:
    found = store_places(deployment, deployment.teams[0])
    found.pop("RMSWEEP_MODELS", None)  # a claim of Kubernetes
    if deployment.places.s3_endpoint is None:
        found["RMSWEEP_S3_ENDPOINT"] = f"http://s3:{S3_PORT}"
        found.pop("RMSWEEP_S3_ENCRYPTION", None)  # the shipped server has no key to encrypt with
    return found


def _ready(*names: str) -> dict[str, Any]:
    return {name: {"condition": "service_healthy"} for name in names}


def _head(deployment: Deployment) -> Service:
    given = deployment.places
    team = deployment.teams[0]
    secrets = (*STORE_SECRETS, *DRIVER_SECRETS)
    service = _ours(
        deployment.image(0),
        variables=tuple(secret.variable for secret in secrets),
        networks=("cluster", "services"),
        token=True,
    )
    ours = places(deployment, team, postgres="postgres", mlflow="mlflow")
    service["environment"] |= {name: ours[name] for name in DRIVER_PLACES}
    service["environment"] |= _store_places(deployment)
    waits = [
        *(["postgres"] if given.ledger == HERE else []),
        *(["mlflow"] if given.tracking == HERE else []),
        *(["s3"] if given.s3_endpoint is None else []),
    ]
    return service | {
        # Without CPUs nothing is trained beside the driver.
        "command": (
            "ray start --head --block --port=6379 --num-cpus=0 --dashboard-host=0.0.0.0"
            f" --dashboard-port={DASHBOARD} --disable-usage-stats"
        ),
        "ports": [f"{deployment.compose.bind}:{DASHBOARD}:{DASHBOARD}"],
        "shm_size": "1gb",
        "stop_grace_period": f"{deployment.grace_seconds}s",
        "depends_on": _ready(*waits),
        "healthcheck": {
            "test": ["CMD", "ray", "health-check", "--address=127.0.0.1:6379"],
            "interval": "15s",
            "timeout": "30s",
            "retries": 8,
            "start_period": "60s",
        },
    }


def _worker(deployment: Deployment) -> Service:
    machine: Machine = deployment.compose.worker
    service = _ours(
        deployment.image(machine.gpus),
        variables=tuple(secret.variable for secret in STORE_SECRETS),
        networks=("cluster",),
        token=True,
    )
    service["environment"] |= _store_places(deployment)
    limits: dict[str, Any] = {
        "limits": {"cpus": str(machine.cpus), "memory": f"{machine.memory_gib}G"}
    }
    if machine.gpus:
        gpus = {"driver": "nvidia", "count": machine.gpus, "capabilities": ["gpu"]}
        limits["reservations"] = {"devices": [gpus]}
    return service | {
        "command": (
            f"ray start --address=ray-head:6379 --block --num-cpus={machine.cpus}"
            f" --num-gpus={machine.gpus} --disable-usage-stats"
        ),
        "shm_size": f"{max(1, machine.memory_gib // 4)}gb",
        "stop_grace_period": f"{deployment.grace_seconds}s",
        "depends_on": _ready("ray-head"),
        "deploy": {"replicas": deployment.compose.workers, "resources": limits},
    }


def _postgres(deployment: Deployment) -> Service:
    return _hardened(
        deployment.images.postgres, secrets=("postgres_password",), networks=("services",)
    ) | {
        "environment": {
            "POSTGRES_USER": LEDGER_USER,
            "POSTGRES_DB": LEDGER_USER,
            "POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password",
            "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256 --auth-local=scram-sha-256",
        },
        "configs": [{"source": "databases", "target": "/docker-entrypoint-initdb.d/databases.sql"}],
        "volumes": ["postgres:/var/lib/postgresql/data"],
        "shm_size": "256mb",
        "healthcheck": {
            "test": ["CMD", "pg_isready", "-U", LEDGER_USER, "-d", LEDGER_USER],
            "interval": "5s",
            "timeout": "5s",
            "retries": 12,
        },
    }


def _mlflow(deployment: Deployment) -> Service:
    own_ledger = deployment.places.ledger == HERE
    variables = ("MLFLOW_FLASK_SERVER_SECRET_KEY", *(("PGPASSWORD",) if own_ledger else ()))
    service = _ours(deployment.image(0), variables=variables, networks=("services",), token=False)
    service["secrets"].append("mlflow_auth")
    service["environment"]["MLFLOW_AUTH_CONFIG_PATH"] = "/run/secrets/mlflow_auth"
    return service | {
        "command": mlflow_command(
            "postgres" if own_ledger else None, hosts=("mlflow:5000", "localhost:*", "127.0.0.1:*")
        ),
        "ports": [f"{deployment.compose.bind}:5000:5000"],
        "volumes": ["mlflow:/data"],
        "depends_on": _ready(*(["postgres"] if own_ledger else [])),
        "healthcheck": {
            "test": ["CMD", "wget", "-q", "-O-", "http://127.0.0.1:5000/health"],
            "interval": "10s",
            "timeout": "10s",
            "retries": 12,
            "start_period": "60s",
        },
    }


def _s3(deployment: Deployment) -> Service:
    return _hardened(
        deployment.images.s3, secrets=("s3_identities",), networks=("cluster", "services")
    ) | {
        "command": (
            "mini -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0"
            " -s3.config=/run/secrets/s3_identities"
            f" -s3.port={S3_PORT} -admin.ui=false -webdav=false -bucket={deployment.places.bucket}"
        ),
        "volumes": ["s3:/data"],
        "healthcheck": {
            "test": ["CMD", "wget", "-q", "-O-", f"http://127.0.0.1:{S3_PORT}/status"],
            "interval": "5s",
            "timeout": "5s",
            "retries": 24,
        },
    }
