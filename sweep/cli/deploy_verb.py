"""The verb that sets up clusters for others: `deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.console import out, print_json
from sweep.cli.plan_verbs import Json


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(deploy)


def deploy(
    file: Annotated[Path, typer.Argument(help="Settings; see infra/deploy/example.yaml.")],
    folder: Annotated[Path, typer.Option("--out", help="Where files go.")] = Path("deploy"),
    json: Json = False,
) -> None:
    """Write what sets up a cluster: images, Compose, Kubernetes, Slurm, S3 policies."""
    from infra.deploy.reading import load_deployment
    from infra.deploy.rendering import render, write

    written = write(render(load_deployment(file)), folder)
    if json:
        print_json({"files": [str(path) for path in written]})
        return
    for path in written:
        out.print(str(path), highlight=False)
    out.print("how to use them: docs/cluster.md; no secret is in any of them", style="dim")
