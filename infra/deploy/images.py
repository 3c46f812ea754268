"""Container images: one for machines with GPUs, one without; both run as an ordinary user."""

from __future__ import annotations

from infra.deploy.deployment import Deployment
from infra.deploy.templates import fill
from infra.deploy.variables import DRIVER_SECRETS, STORE_SECRETS

ENTRYPOINT = "deploy/images/with-secrets.sh"
"""Of the image, seen from the root of the sources, where `--out deploy` puts it."""
SERVER_VARIABLES = ("MLFLOW_FLASK_SERVER_SECRET_KEY",)


def images(deployment: Deployment) -> dict[str, str]:
    """The Containerfiles and the script every container starts with."""
    names = [secret.variable for secret in (*STORE_SECRETS, *DRIVER_SECRETS)]
    files = {
        "images/with-secrets.sh": fill(
            "with-secrets.sh", names=" ".join((*names, *SERVER_VARIABLES))
        )
    }
    for cuda in (False, True):
        path = f"images/Containerfile.{'cuda' if cuda else 'cpu'}"
        files[path] = fill(
            "Containerfile",
            kind=f"rmsweep for machines {'with NVIDIA GPUs' if cuda else 'without GPUs'}",
            build=f"docker build -f deploy/{path} -t {deployment.image(int(cuda))} .",
            base=deployment.images.base,
            cuda=cuda,
            torch_index=deployment.images.cpu_torch_index,
            extra_index="" if cuda else ' ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}',
            entrypoint=ENTRYPOINT,
        )
    files["images/Containerfile.cpu.dockerignore"] = _IGNORED
    files["images/Containerfile.cuda.dockerignore"] = _IGNORED
    return files


_IGNORED = """\
# Only what the image is made of is sent to the builder: no secrets, no data, no history.
*
!requirements/runtime.txt
!pyproject.toml
!README.md
!LICENSE
!analysis
!infra
!search_spaces
!sweep
!trainer
!deploy/images/with-secrets.sh
**/__pycache__
"""
