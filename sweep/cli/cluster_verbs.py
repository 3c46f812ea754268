"""Verbs for a cluster other people use too: `submit`, and `supervise` for its batch jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import BusyError
from sweep.cli.console import out, print_json, print_warning
from sweep.cli.plan_verbs import (
    Json,
    Overrides,
    SweepFile,
    refuse_over_budget,
)
from sweep.cli.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from infra.clusters import ClusterEntry
    from sweep.engine.planning.plan import SweepPlan
    from sweep.execution.head import Submission

FOLLOW_SECONDS = 2.0

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
    from sweep.cli.offers import offer_of
    from sweep.cli.planning import plan_file
    from sweep.execution.submitting import refuse_unsendable
    from sweep.execution.submitting import submit as hand_over

    workplace = open_workplace()
    entry = find_cluster(cluster, workplace.settings)
    plan, _ = plan_file(workplace, file, overrides or ())
    refuse_unsendable(plan, entry)
    offer = offer_of(entry)
    plan, notes = plan_file(workplace, file, overrides or (), offer)
    if offer is not None:
        refuse_over_budget(plan, file)
        market = plan.estimate.market
        entry = entry.model_copy(update={"devices": market.devices, "device": market.device})
    else:
        print_warning(f"{entry.address} has no devices yet: the sweep's price is not checked")
    for note in notes:
        print_warning(note)
    same_ledger = entry.ledger == workplace.settings.ledger_url
    if same_ledger:
        _refuse_running(workplace, plan)
    submission = hand_over(plan, entry)
    if same_ledger:
        _register(workplace, plan, entry, submission)
    if json:
        print_json(
            {
                "sweep": submission.sweep_id,
                "submission": submission.submission_id,
                "cluster": submission.address,
                "trials": len(plan.trials),
                "to_train": len(plan.to_execute),
            }
        )
    else:
        out.print(
            f"[bold]{submission.sweep_id}[/bold] submitted to {submission.address}: "
            f"{len(plan.trials)} trials, {len(plan.to_execute)} to train"
        )
        out.print(_where_to_look(submission, same_ledger=same_ledger), style="dim")
    return _follow(entry, submission) if follow else 0


def supervise(file: SweepFile) -> int:
    """Run a sweep file as `run` does, and start its driver again when it dies; for batch jobs.

    On SIGTERM the sweep checkpoints and ends; started again, it goes on.
    """
    from sweep.cli.planning import plan_file
    from sweep.execution.supervising import supervise as keep_alive

    plan, _ = plan_file(open_workplace(), file, ())
    return keep_alive(plan.sweep_id, file)


def _refuse_running(workplace: Workplace, plan: SweepPlan) -> None:
    for row in workplace.ledger.sweeps():
        if row.sweep_id == plan.sweep_id and row.live:
            raise BusyError(
                f"sweep {plan.sweep_id} is running already; look at it with "
                f"`rmsweep status {plan.sweep_id}`, or end it with `rmsweep stop {plan.sweep_id}`"
            )


def _register(
    workplace: Workplace, plan: SweepPlan, entry: ClusterEntry, submission: Submission
) -> None:
    """Show the sweep as pending until its driver has come up, and where to ask if none does."""
    from sweep.execution.registration import register
    from sweep.records.submissions import SUBMITTED_KIND

    places = {"storage": entry.storage, "tracking_uri": entry.tracking}
    register(plan, workplace.ledger, workplace.settings.model_copy(update=places))
    workplace.ledger.record_decision(
        plan.sweep_id,
        SUBMITTED_KIND,
        {"address": submission.address, "submission": submission.submission_id},
    )


def _where_to_look(submission: Submission, *, same_ledger: bool) -> str:
    name = submission.sweep_id
    if same_ledger:
        return f"watch it with `rmsweep status {name}`, end it with `rmsweep stop {name}`"
    return (
        "its ledger is not this machine's; set RMSWEEP_LEDGER_URL to the cluster's to use "
        f"`rmsweep status {name}` here"
    )


def _follow(entry: ClusterEntry, submission: Submission) -> int:
    from sweep.execution.head import ENDED, Head

    head = Head(entry)
    shown = 0
    while True:
        state = head.state(submission.submission_id)
        log = head.log(submission.submission_id)
        out.out(log[shown:], end="", highlight=False)
        shown = len(log)
        if state in ENDED:
            return 0 if state == "SUCCEEDED" else 1
        time.sleep(FOLLOW_SECONDS)
