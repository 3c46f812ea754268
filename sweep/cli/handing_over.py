"""Handing a sweep over to a cluster, new or begun: what `submit` and `resume --cluster` share.

A sweep is handed over once at a time: not while a driver has it, nor while the supervisor of an
earlier submission would start one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from infra.errors import BusyError, MissingError
from sweep.cli.changed_files import plan_to_resume, refuse_extended, warn_of_another
from sweep.cli.console import out, print_json
from sweep.records.lifecycle import ENDED_SWEEP_STATES
from sweep.records.submissions import SUBMITTED_KIND, last_submission

if TYPE_CHECKING:
    from infra.clusters import ClusterEntry
    from sweep.cli.offers import Offer
    from sweep.cli.workplace import Workplace
    from sweep.engine.planning.plan import SweepPlan
    from sweep.execution.head import Submission
    from sweep.records.rows import SweepRow


def refuse_begun(workplace: Workplace, plan: SweepPlan, entry: ClusterEntry) -> None:
    """Refuse to submit what the ledger has otherwise, where it is this machine's as well.

    Raises:
        BusyError: If a driver has the sweep.
        InputError: If it was extended since its file.
    """
    if entry.ledger == workplace.settings.ledger_url:
        _refuse_running(workplace.ledger.registered(plan.sweep_id))
        refuse_extended(workplace, plan)
        warn_of_another(workplace, plan)


def submit_to(workplace: Workplace, plan: SweepPlan, entry: ClusterEntry) -> Submission:
    """Hand over a planned sweep, and list it in the ledger if that is this machine's as well.

    Raises:
        InputError, StoreError: As `sweep.execution.submitting.submit`.
    """
    from sweep.execution.submitting import submit

    submission = submit(plan, entry, workplace.settings.home)
    if entry.ledger == workplace.settings.ledger_url:
        _register(workplace, plan, entry)
        _record(workplace, submission)
    return submission


def resume_on(
    workplace: Workplace, sweep: str, entry: ClusterEntry
) -> tuple[SweepPlan, Submission, bool]:
    """Have a cluster go on with a sweep of its ledger.

    Args:
        workplace: Of this machine; its ledger is the cluster's, by whatever address.
        sweep: Name, start of the id, or file, with the choices of a local `resume`.
        entry: The cluster.

    Returns:
        The plan as far as it is known here, the submission, and whether the plan is for what the
        cluster has.

    Raises:
        BusyError: If a driver has it, or a supervisor on that cluster will start one.
        MissingError: If this machine's ledger has no such sweep.
        InputError, StoreError: As `sweep.execution.submitting.submit`.
    """
    from sweep.cli.offers import offer_of
    from sweep.cli.planning import plan_elsewhere
    from sweep.execution.submitting import refuse_another_ray, refuse_unsendable, submit
    from sweep.spec.files import SUFFIXES

    from_file = sweep.endswith(SUFFIXES)
    planned: Callable[[Offer | None], SweepPlan]
    if from_file:
        planned = partial(plan_to_resume, workplace, sweep)
        plan = planned(None)
        row = workplace.ledger.sweep(plan.sweep_id)
    else:
        row = _known(workplace, sweep, entry)
        planned = partial(plan_elsewhere, workplace, row)
        plan = planned(None)
    _refuse_running(row)
    refuse_unsendable(plan, entry)
    refuse_another_ray(entry)
    _refuse_supervised(workplace, row, entry)
    offer = offer_of(entry)
    if offer is not None:  # laid out for what is there, not for this machine
        plan = planned(offer)
        entry = as_offered(entry, plan)
    submission = submit(plan, entry, workplace.settings.home, resuming=True)
    if from_file:  # its words and machines are the file's from now on
        _register(workplace, plan, entry)
    _record(workplace, submission)
    return plan, submission, offer is not None


def as_offered(entry: ClusterEntry, plan: SweepPlan) -> ClusterEntry:
    """The cluster, telling its driver to plan for the devices this plan was made for."""
    market = plan.estimate.market
    return entry.model_copy(update={"devices": market.devices, "device": market.device})


def tell(
    workplace: Workplace,
    entry: ClusterEntry,
    submission: Submission,
    plan: SweepPlan,
    *,
    priced: bool,
    json: bool,
) -> None:
    """Say what was handed over, what it is to cost, and where to look.

    Args:
        workplace: Of this machine.
        entry: The cluster.
        submission: As its head took it.
        plan: What was handed over.
        priced: Whether the plan is for what the cluster has; else its price says nothing.
        json: For programs.
    """
    from sweep.cli.plan_facts import price_facts
    from sweep.cli.plan_view import estimate_json

    if json:
        print_json(
            {
                "sweep": submission.sweep_id,
                "submission": submission.submission_id,
                "cluster": submission.address,
                "trials": len(plan.trials),
                "to_train": len(plan.to_execute),
                "estimate": estimate_json(plan.estimate) if priced else None,
                "installs": list(submission.installs),
            }
        )
        return
    out.print(
        f"[bold]{submission.sweep_id}[/bold] submitted to {submission.address}: "
        f"{len(plan.trials)} trials, {len(plan.to_execute)} to train"
    )
    for label, text in price_facts(plan) if priced else ():
        out.print(f"{label:<14}{text}")
    if submission.installs:
        out.print(
            f"its machines lack packages: Ray installs {len(submission.installs)} there first, in "
            "this machine's versions; later submissions find them"
        )
    name = submission.sweep_id
    if entry.ledger == workplace.settings.ledger_url:
        where = f"watch it with `rmsweep status {name}`, end it with `rmsweep stop {name}`"
    else:
        where = (
            "its ledger is not this machine's; set RMSWEEP_LEDGER_URL to the cluster's to use "
            f"`rmsweep status {name}` here"
        )
    out.print(where, style="dim")


def _known(workplace: Workplace, sweep: str, entry: ClusterEntry) -> SweepRow:
    try:
        return workplace.ledger.sweep(sweep)
    except MissingError as error:
        if entry.ledger == workplace.settings.ledger_url:
            raise
        raise MissingError(
            f"{error}; this machine's ledger is not the cluster's, {entry.ledger}: set "
            "RMSWEEP_LEDGER_URL to that database, by the address it has from here"
        ) from None


def _refuse_running(row: SweepRow | None) -> None:
    if row is not None and row.live:
        raise BusyError(
            f"sweep {row.sweep_id} is running already; look at it with "
            f"`rmsweep status {row.sweep_id}`, or end it with `rmsweep stop {row.sweep_id}`"
        )


def _refuse_supervised(workplace: Workplace, row: SweepRow, entry: ClusterEntry) -> None:
    """Refuse what a supervisor on that cluster goes on with by itself, between two drivers."""
    from sweep.execution.head import ENDED, Head

    last = last_submission(workplace.ledger.decisions(row.sweep_id))
    if row.state in ENDED_SWEEP_STATES or last is None or last["address"] != entry.address:
        return
    standing = Head(entry).standing(last["submission"])
    if standing is not None and standing[0] not in ENDED:
        raise BusyError(
            f"sweep {row.sweep_id} is in the hands of {last['submission']} at "
            f"{entry.address}, which starts its next driver by itself; look at it with "
            f"`rmsweep status {row.sweep_id}`"
        )


def _register(workplace: Workplace, plan: SweepPlan, entry: ClusterEntry) -> None:
    """Show the sweep as pending until its driver has come up."""
    from sweep.execution.registration import register

    places = {"storage": entry.storage, "tracking_uri": entry.tracking}
    register(plan, workplace.ledger, workplace.settings.model_copy(update=places))


def _record(workplace: Workplace, submission: Submission) -> None:
    """Keep where to ask for the submission if no driver comes up."""
    workplace.ledger.record_decision(
        submission.sweep_id,
        SUBMITTED_KIND,
        {"address": submission.address, "submission": submission.submission_id},
    )
