"""Every file of a deployment, by its place below the folder it is written to."""

from __future__ import annotations

from pathlib import Path

from infra.deploy.compose import compose
from infra.deploy.deployment import Deployment
from infra.deploy.images import images
from infra.deploy.kueue import kueue
from infra.deploy.policies import policies
from infra.deploy.ray_cluster import ray_cluster, ray_job
from infra.deploy.services import services
from infra.deploy.slurm import slurm
from infra.deploy.team_space import network_policies, team_space
from infra.deploy.yaml_text import yaml_text, yaml_texts
from infra.errors import StoreError

SCRIPTS = (".sh", ".sbatch")


def render(deployment: Deployment) -> dict[str, str]:
    """Text of every file, by relative path; the same settings give the same text."""
    files = images(deployment) | compose(deployment) | slurm(deployment) | policies(deployment)
    if deployment.kubernetes.queue_jobs:
        files["kubernetes/kueue.yaml"] = yaml_texts(
            kueue(deployment), "For who runs the cluster: quotas, queues and priorities."
        )
    for team in deployment.teams:
        folder = f"kubernetes/{team}"
        files[f"{folder}/1-space.yaml"] = yaml_texts(
            team_space(deployment, team), "Namespace, settings, accounts and rights."
        )
        files[f"{folder}/2-network.yaml"] = yaml_texts(
            network_policies(deployment, team), "Who may talk to whom."
        )
        own = services(deployment, team)
        if own:
            files[f"{folder}/3-services.yaml"] = yaml_texts(own, "Ledger and MLflow.")
        files[f"{folder}/4-cluster.yaml"] = yaml_text(
            ray_cluster(deployment, team), "The cluster `rmsweep submit` hands sweeps to."
        )
        files[f"{folder}/job.yaml"] = yaml_text(
            ray_job(deployment, team),
            "One sweep on a cluster of its own; its file is the config map rmsweep-sweep.",
        )
    return dict(sorted(files.items()))


def write(files: dict[str, str], folder: Path) -> list[Path]:
    """Write them; what else is in the folder stays.

    Raises:
        StoreError: If the folder cannot be written.
    """
    written = []
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755 if path.suffix in SCRIPTS else 0o644)
            written.append(path)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error}") from error
    return written
