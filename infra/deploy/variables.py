"""Which settings and which secrets reach which process.

Invariant: a worker gets the object store's key and the cluster's token, and nothing else: ledger,
MLflow and webhook are the driver's alone, which runs on the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.deploy.deployment import HERE, Deployment
from infra.settings import PREFIX

LEDGER_USER = "rmsweep"
SECRET = "rmsweep-secrets"
RAY_SECRET = "rmsweep-ray-token"
MODELS = "/models"


DRIVER_PLACES = ("RMSWEEP_LEDGER_URL", "RMSWEEP_TRACKING_URI", "RMSWEEP_RAY_ADDRESS")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by name: its variable, and its key in the Kubernetes object."""

    variable: str
    key: str
    optional: bool = False


STORE_SECRETS = (
    Secret("AWS_ACCESS_KEY_ID", "s3-key-id", optional=True),
    Secret("AWS_SECRET_ACCESS_KEY", "s3-secret-key", optional=True),
)
"""Absent where machines have a role of their own."""
DRIVER_SECRETS = (
    Secret("PGPASSWORD", "postgres-password"),
    Secret("MLFLOW_TRACKING_USERNAME", "mlflow-user"),
    Secret("MLFLOW_TRACKING_PASSWORD", "mlflow-password"),
    Secret("RMSWEEP_WEBHOOK", "webhook", optional=True),
)


def places(deployment: Deployment, team: str, *, postgres: str, mlflow: str) -> dict[str, str]:
    """The `RMSWEEP_*` settings of a team's driver.

    Args:
        deployment: The settings file.
        team: Whose.
        postgres: Host of the ledger when it is `here`.
        mlflow: Host of MLflow when it is `here`.
    """
    given = deployment.places
    ledger = f"postgresql://{LEDGER_USER}@{postgres}:5432/{LEDGER_USER}"
    tracking = f"http://{mlflow}:5000"
    values = (
        ledger if given.ledger == HERE else given.ledger,
        tracking if given.tracking == HERE else given.tracking,
        "auto",
    )
    return dict(zip(DRIVER_PLACES, values, strict=True)) | store_places(deployment, team)


def store_places(deployment: Deployment, team: str) -> dict[str, str]:
    """The settings workers need as well: where objects are, and how they are written."""
    given = deployment.places
    values = {
        "STORAGE": deployment.storage(team),
        "S3_ENDPOINT": given.s3_endpoint,
        "S3_ENCRYPTION": given.s3_encryption,
        "MODELS": MODELS if deployment.kubernetes.models_claim else None,
    }
    return {f"{PREFIX}{name}": value for name, value in values.items() if value is not None}


def from_secret(secrets: tuple[Secret, ...]) -> list[dict[str, Any]]:
    """Variables of a Kubernetes container that hold secrets, by reference."""
    return [
        {
            "name": secret.variable,
            "valueFrom": {
                "secretKeyRef": {
                    "name": SECRET,
                    "key": secret.key,
                    **({"optional": True} if secret.optional else {}),
                }
            },
        }
        for secret in secrets
    ]


def plain(values: dict[str, str]) -> list[dict[str, Any]]:
    """Variables of a Kubernetes container that are no secrets."""
    return [{"name": name, "value": value} for name, value in values.items()]
