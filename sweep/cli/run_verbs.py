"""Verbs that change a sweep: `run`, `resume`, `stop`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import InputError
from sweep.cli.changed_files import plan_to_resume, refuse_extended, warn_of_another
from sweep.cli.console import (
    counted,
    duration_text,
    out,
    print_error,
    print_json,
    print_warning,
)
from sweep.cli.plan_verbs import Json, Overrides, SweepFile, refuse_over_budget
from sweep.cli.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from sweep.engine.planning.plan import SweepPlan
    from sweep.records.lifecycle import SweepState

FAILED = 1
INTERRUPTED = 130


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (run, resume, stop):
        app.command()(verb)


def run(file: SweepFile, overrides: Overrides = None, json: Json = False) -> int:
    """Run a sweep file; what is done already is reused."""
    from sweep.cli.planning import plan_file

    workplace = open_workplace()
    plan, notes = plan_file(workplace, file, overrides or ())
    refuse_over_budget(plan, file)
    for note in notes:
        print_warning(note)
    refuse_extended(workplace, plan)
    warn_of_another(workplace, plan)
    return _execute(workplace, plan, json=json)


def resume(
    sweep: Annotated[
        str, typer.Argument(help="Name of a sweep, the start of its id, or its file.")
    ],
    cluster: Annotated[
        str | None,
        typer.Option(help="Go on there, not here: a head's address, or a name in clusters.yaml."),
    ] = None,
    json: Json = False,
) -> int:
    """Go on with a sweep that was interrupted: finish what is missing, repeat nothing."""
    from sweep.cli.planning import plan_again
    from sweep.spec.files import SUFFIXES

    workplace = open_workplace()
    if cluster is not None:
        return _resume_on(workplace, sweep, cluster, json=json)
    if sweep.endswith(SUFFIXES):
        plan = plan_to_resume(workplace, sweep)
    else:
        plan = plan_again(workplace, workplace.ledger.sweep(sweep))
    return _execute(workplace, plan, json=json)


def stop(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep, or the start of its id.")],
    arms: Annotated[
        list[str] | None, typer.Option("--arm", help="Stop this arm alone; may be repeated.")
    ] = None,
) -> None:
    """Ask a running sweep, or some of its arms, to checkpoint and end."""
    from sweep.records.lifecycle import ENDED_SWEEP_STATES

    ledger = open_workplace().ledger
    row = ledger.sweep(sweep)
    if arms:
        for arm in arms:
            ledger.request_arm_stop(row.sweep_id, arm)
            stopped = f"{row.sweep_id}: {arm} is stopped; what runs of it checkpoints first"
            out.print(stopped, markup=False)
        return
    if row.state in ENDED_SWEEP_STATES:
        out.print(f"{row.sweep_id}: it has {row.state} already; there is nothing to stop")
        return
    ledger.request_stop(row.sweep_id)
    if row.live:
        out.print(f"{row.sweep_id}: asked to stop; its trials checkpoint first")
    else:
        out.print(f"{row.sweep_id}: no driver is running it; it will not start anything new")


def _resume_on(workplace: Workplace, sweep: str, cluster: str, *, json: bool) -> int:
    from infra.clusters import find_cluster
    from sweep.cli.handing_over import resume_on, tell

    entry = find_cluster(cluster, workplace.settings)
    plan, submission, priced = resume_on(workplace, sweep, entry)
    tell(workplace, entry, submission, plan, priced=priced, json=json)
    return 0


def _execute(workplace: Workplace, plan: SweepPlan, *, json: bool) -> int:
    from sweep.cli.finished import finished_row

    if plan.pending:
        trials = (*plan.trials, *(each.trial for each in plan.later))
        missing = ", ".join(sorted({trial.arm for trial in trials if trial.pending}))
        raise InputError(
            f"data or a backbone is not on this machine for: {missing}; "
            + "; ".join((*plan.missing, "`rmsweep check` shows the plan as far as it is known"))
        )
    reused = len(plan.trials) - len(plan.to_execute)
    if not json:
        out.print(
            f"[bold]{plan.sweep_id}[/bold]  {counted(len(plan.arms), 'arm')}, "
            f"{counted(len(plan.trials), 'trial')}, {reused} reused"
        )
    if (row := finished_row(workplace, plan)) is not None:
        return _tell(workplace, plan, row.state, row.reason, json=json)
    from sweep.cli.progress_view import ProgressView
    from sweep.execution.runner import run_sweep  # takes Ray with it

    with ProgressView(plan, quiet=json or not plan.to_execute) as view:
        result = run_sweep(plan, workplace.ledger, workplace.settings, on_progress=view.show)
    if result.unpublished is not None:
        print_warning(
            f"MLflow does not show everything yet: {result.unpublished}; nothing is lost, "
            f"`rmsweep resume {plan.sweep_id}` publishes the rest"
        )
    for identity, reason in result.unscored.items():
        print_warning(f"reused model {identity[:8]} lacks scores of this sweep: {reason}")
    if result.unread is not None:
        print_warning(
            "whether a benchmark's file has changed since models were scored on it is not known, "
            f"their records cannot be read: {result.unread}"
        )
    if result.interrupted:
        print_error(f"interrupted; go on with `rmsweep resume {plan.sweep_id}`")
        return INTERRUPTED
    return _tell(workplace, plan, result.state, result.reason, json=json)


def _tell(
    workplace: Workplace, plan: SweepPlan, state: SweepState, reason: str, *, json: bool
) -> int:
    """Say how a sweep ended; the exit code that says the same."""
    spent = workplace.ledger.spent(plan.sweep_id)
    if json:
        print_json(
            {"sweep": plan.sweep_id, "state": str(state), "reason": reason}
            | {"device_seconds": spent.device_seconds, "wall_seconds": spent.wall_seconds}
        )
    else:
        out.print(
            f"{plan.sweep_id} {state} after {duration_text(spent.wall_seconds)}"
            + (f": {reason}" if reason else ""),
            markup=False,
        )
    sys.stdout.flush()
    return 0 if state == "succeeded" else FAILED
