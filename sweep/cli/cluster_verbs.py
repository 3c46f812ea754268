"""Verbs for a cluster other people use too: `submit`, and `supervise` for its batch jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.cli.console import print_warning
from sweep.cli.handing_over import as_offered, refuse_begun, submit_to, tell
from sweep.cli.plan_verbs import Json, Overrides, SweepFile, refuse_over_budget
from sweep.cli.workplace import open_workplace

Cluster = Annotated[
    str,
    typer.Option(
        help="Address of a head's dashboard (http://HOST:8265), or a name in clusters.yaml."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (submit, supervise):
        app.command()(verb)


def submit(
    file: SweepFile,
    cluster: Cluster,
    overrides: Overrides = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print what the driver writes until it ends.")
    ] = False,
    json: Json = False,
) -> int:
    """Check and price a sweep here, hand it to a Ray cluster, and return at once."""
    from infra.clusters import find_cluster
    from sweep.cli.following import SubmissionFollower
    from sweep.cli.offers import offer_of
    from sweep.cli.planning import plan_file
    from sweep.execution.submitting import refuse_another_ray, refuse_unsendable

    workplace = open_workplace()
    entry = find_cluster(cluster, workplace.settings)
    plan, _ = plan_file(workplace, file, overrides or ())
    refuse_begun(workplace, plan, entry)
    refuse_unsendable(plan, entry)
    refuse_another_ray(entry)
    offer = offer_of(entry)
    plan, notes = plan_file(workplace, file, overrides or (), offer)
    if offer is not None:
        refuse_over_budget(plan, file)
        entry = as_offered(entry, plan)
    else:
        print_warning(f"{entry.address} has no devices yet: the sweep's price is not checked")
    for note in notes:
        print_warning(note)
    submission = submit_to(workplace, plan, entry)
    tell(workplace, entry, submission, plan, priced=offer is not None, json=json)
    return SubmissionFollower(entry, submission).follow() if follow else 0


def supervise(file: SweepFile) -> int:
    """Run a sweep file as `run` does, and start its driver again when it dies; for batch jobs.

    On SIGTERM the sweep checkpoints and ends; started again, it goes on.
    """
    from sweep.cli.planning import plan_file
    from sweep.execution.supervising import supervise as keep_alive

    plan, _ = plan_file(open_workplace(), file, ())
    return keep_alive(plan.sweep_id, file)
