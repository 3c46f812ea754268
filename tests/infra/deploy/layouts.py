"""Deployments that differ in what is `here`, on GPUs, on spot machines, queued or shared."""

from __future__ import annotations

from typing import Any

from infra.deploy.deployment import Deployment
from infra.deploy.reading import EXAMPLE, load_deployment
from infra.findings import validate

_CPU = {"name": "cpu", "cpus": 4, "memory_gib": 8, "most": 3}
_SPOT = {
    **{"name": "spot", "cpus": 8, "memory_gib": 64, "gpus": 1, "least": 1, "most": 9, "spot": True},
    **{"node_labels": {"gpu/kind": "a100"}, "tolerations": [{"key": "team", "value": "ml"}]},
}
OUTSIDE = {
    "ledger": "postgresql://sweeps@db.example.org:6543/ledger?sslmode=verify-full",
    "tracking": "https://mlflow.example.org",
    "s3_endpoint": "https://s3.example.org:9000",
    "s3_encryption": "aws:kms",
}


def made(**settings: Any) -> Deployment:  # noqa: ANN401 -- any setting
    """A deployment of CPU workers with these settings."""
    return validate(Deployment, {"workers": [_CPU], **settings})


LAYOUTS = {
    "example": load_deployment(EXAMPLE),
    "least": made(),
    "outside": made(teams=["one", "two"], places=OUTSIDE, workers=[_CPU, _SPOT]),
    "unqueued": made(
        kubernetes={"queue_jobs": False, "models_claim": "models", "storage_class": "fast"}
    ),
    "elastic": made(workers=[_SPOT], kubernetes={"elastic_jobs": True}),
    "gpu": made(compose={"worker": {"cpus": 8, "memory_gib": 32, "gpus": 1}}, slurm={"gpus": 4}),
}
