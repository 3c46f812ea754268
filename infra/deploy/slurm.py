"""Slurm: a batch script that makes a Ray cluster of its allocation and runs one sweep on it."""

from __future__ import annotations

from infra.deploy.deployment import HERE, Deployment
from infra.deploy.templates import fill
from infra.deploy.variables import places


def slurm(deployment: Deployment) -> dict[str, str]:
    """The batch script of every team.

    A ledger or MLflow that is `here` is left to the machine's own settings: an allocation ends,
    and with it whatever was started in it.
    """
    files = {}
    for team in deployment.teams:
        settings = places(deployment, team, postgres="", mlflow="")
        if deployment.places.ledger == HERE:
            del settings["RMSWEEP_LEDGER_URL"]
        if deployment.places.tracking == HERE:
            del settings["RMSWEEP_TRACKING_URI"]
        settings.pop("RMSWEEP_MODELS", None)
        files[f"slurm/{team}.sbatch"] = fill(
            "sweep.sbatch",
            name=deployment.namespace(team),
            slurm=deployment.slurm,
            grace=deployment.grace_seconds,
            settings=settings,
        )
    return files
