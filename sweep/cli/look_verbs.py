"""Verbs that only look: `ls`, `status`, `show`. None of them changes a sweep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from infra.errors import InputError, MissingError
from sweep.cli.console import (
    age_text,
    clock_text,
    duration_text,
    number_text,
    out,
    print_json,
    print_table,
    shown_state,
    state_text,
)
from sweep.cli.metrics_view import incomplete, print_metrics
from sweep.cli.workplace import open_workplace

if TYPE_CHECKING:
    from sweep.records.ledger import Ledger
    from sweep.records.rows import SweepRow, TrialView

SHORT = 8
"""Digits of an identity shown to people."""

SweepName = Annotated[str, typer.Argument(help="Name of a sweep, or the start of its id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (ls, status, show):
        app.command()(verb)


def ls(json: Json = False) -> None:
    """List sweeps, newest first."""
    ledger = open_workplace().ledger
    sweeps = sorted(ledger.sweeps(), key=lambda sweep: sweep.created, reverse=True)
    if json:
        print_json([_sweep_json(sweep, ledger) for sweep in sweeps])
        return
    if not sweeps:
        out.print("No sweeps yet. Start one with `rmsweep run FILE`.")
        return
    rows = []
    for sweep in sweeps:
        spent = ledger.spent(sweep.sweep_id)
        rows.append(
            (
                sweep.sweep_id,
                state_text(shown_state(sweep)),
                f"{sweep.succeeded}/{sweep.trials}",
                duration_text(spent.wall_seconds),
                f"{spent.device_seconds / 3600:.2f}",
                age_text(datetime.fromtimestamp(sweep.created, UTC)),
            )
        )
    columns = ("sweep", "state", "trials", "wall time", "device-hours", "created")
    print_table("", columns, rows, right=("trials", "wall time", "device-hours"))


def status(
    sweep: Annotated[str | None, typer.Argument(help="A sweep; the newest if absent.")] = None,
    watching: Annotated[
        bool,
        typer.Option("--watch", help="Keep looking until it ends; Ctrl-C leaves it be."),
    ] = False,
    json: Json = False,
) -> None:
    """Show how a sweep stands: trials by state, best so far, spend, time left, failures."""
    from sweep.cli.progress_view import progress_json, progress_lines, progress_panel
    from sweep.cli.submission_view import submission_note
    from sweep.cli.watching import Onlooker, note_of, watch

    workplace = open_workplace()
    row = newest(workplace.ledger) if sweep is None else workplace.ledger.sweep(sweep)
    if watching and json:
        raise InputError("--watch draws for people; call `status --json` as often as you like")
    if watching:
        watch(workplace, row)
        return
    onlooker = Onlooker(workplace, row)
    figures = onlooker.look()
    note = onlooker.with_tracking(submission_note(workplace.ledger, row) or note_of(row))
    if json:
        told = {"note": note} | progress_json(figures)
        print_json(_sweep_json(row, workplace.ledger) | told)
        return
    title = f"{row.sweep_id}  {shown_state(row)}"
    if out.is_terminal:
        out.print(progress_panel(figures, title=title, note=note))
        return
    for line in progress_lines(figures, title=title, note=note):
        out.print(line, soft_wrap=True, markup=False)


def show(
    sweep: SweepName,
    trial: Annotated[
        str | None,
        typer.Argument(help="Only this trial: the start of its identity, or ARM/SEED."),
    ] = None,
    json: Json = False,
) -> None:
    """Show a sweep's arms and trials, or one trial with its attempts."""
    ledger = open_workplace().ledger
    row = ledger.sweep(sweep)
    trials = ledger.trials(row.sweep_id)
    if trial is not None:
        view = find_trial(trials, trial)
        _show_trial(ledger, view, _notes(ledger, row.sweep_id, view.identity), json=json)
        return
    if json:
        views = [_trial_json(view) for view in trials]
        print_json(
            _sweep_json(row, ledger) | {"trials_by_arm": _arms_json(trials), "trials": views}
        )
        return
    out.print(
        f"[bold]{row.sweep_id}[/bold]  {shown_state(row)}  "
        f"{escape(row.spec_json.get('question', ''))}"
    )
    metric = _objective_metric(row)
    shown = metric.rpartition("/")[2]
    rows = []
    for view in trials:
        rows.append(
            (
                view.arm,
                view.seed,
                state_text(view.state),
                f"{view.fraction:.0%}",
                number_text(view.metrics.get(metric)),
                view.attempts,
                clock_text(view.device_seconds / (view.workers or 1)),
                view.identity[:SHORT],
                view.error_kind or ("reused" if view.reused else ""),
            )
        )
    columns = ("arm", "seed", "state", "done", shown, "tries", "time", "identity", "note")
    print_table("", columns, rows, right=("seed", "done", shown, "tries", "time"))
    out.print(f"{shown} is {metric}; time is of all tries", style="dim")


def newest(ledger: Ledger) -> SweepRow:
    """The sweep created last.

    Raises:
        MissingError: If there is none.
    """
    sweeps = ledger.sweeps()
    if not sweeps:
        raise MissingError("there is no sweep yet; start one with `rmsweep run FILE`")
    return max(sweeps, key=lambda sweep: sweep.created)


def find_trial(trials: list[TrialView], wanted: str) -> TrialView:
    """The one trial whose identity starts so, or that is named `ARM/SEED`.

    Raises:
        MissingError: If none or several fit.
    """
    found = [
        view
        for view in trials
        if view.identity.startswith(wanted) or f"{view.arm}/{view.seed}" == wanted
    ]
    if len(found) == 1:
        return found[0]
    meant = found or trials
    names = ", ".join(f"{view.arm}/{view.seed} ({view.identity[:SHORT]})" for view in meant[:6])
    problem = f"{len(found)} trials are" if found else "no trial is"
    more = ", ..." if meant[6:] else ""
    raise MissingError(f"{problem} named {wanted!r}; expected one of {names}{more}")


def _objective_metric(sweep: SweepRow) -> str:
    objective = sweep.spec_json.get("objective", {})
    return f"eval/{objective.get('benchmark', 'validation')}/{objective.get('metric', 'accuracy')}"


def _sweep_json(sweep: SweepRow, ledger: Ledger) -> dict[str, Any]:
    spent = ledger.spent(sweep.sweep_id)
    return {
        "sweep": sweep.sweep_id,
        "name": sweep.name,
        "state": shown_state(sweep),
        "reason": sweep.reason,
        "question": sweep.spec_json.get("question", ""),
        "created": datetime.fromtimestamp(sweep.created, UTC).isoformat(),
        "trials_total": sweep.trials,
        "trials_succeeded": sweep.succeeded,
        "device_seconds": round(spent.device_seconds, 3),
        "wall_seconds": round(spent.wall_seconds, 3),
        "attempts": spent.attempts,
        "failures": spent.failures,
        "storage": sweep.storage,
        "tracking": sweep.tracking_uri,
    }


def _trial_json(view: TrialView) -> dict[str, Any]:
    return {
        "identity": view.identity,
        "arm": view.arm,
        "seed": view.seed,
        "state": str(view.state),
        "attempts": view.attempts,
        "step": view.step,
        "fraction": view.fraction,
        "metrics": dict(sorted(view.metrics.items())),
        "incomplete": incomplete(view.metrics),
        "device_seconds": round(view.device_seconds, 3),
        "reused": view.reused,
        "error_kind": view.error_kind,
        "error_message": view.error_message,
        "model_digest": view.model_digest,
    }


def _arms_json(trials: list[TrialView]) -> dict[str, list[str]]:
    arms: dict[str, list[str]] = {}
    for view in trials:
        arms.setdefault(view.arm, []).append(view.identity)
    return arms


def _notes(ledger: Ledger, sweep_id: str, identity: str) -> list[str]:
    """What attempts at a trial had to say besides figures."""
    from sweep.engine.fold import NOTED_KIND

    return [
        str(decision.payload["note"])
        for decision in ledger.decisions(sweep_id)
        if decision.kind == NOTED_KIND and decision.payload["identity"] == identity
    ]


def _show_trial(ledger: Ledger, view: TrialView, notes: list[str], *, json: bool) -> None:
    attempts = ledger.attempts([view.identity])
    if json:
        print_json(
            _trial_json(view)
            | {
                "config": view.config_json,
                "notes": notes,
                "attempts": [
                    {
                        "number": attempt.number,
                        "state": attempt.state,
                        "host": attempt.host,
                        "seconds": round(attempt.seconds, 3),
                        "resumed_step": attempt.resumed_step,
                        "error_kind": attempt.error_kind,
                        "error_message": attempt.error_message,
                    }
                    for attempt in attempts
                ],
            }
        )
        return
    out.print(f"[bold]{escape(view.arm)}[/bold] seed {view.seed}  {view.state}  {view.identity}")
    print_metrics(view.metrics)
    rows = [
        (
            attempt.number,
            state_text(attempt.state),
            attempt.host,
            duration_text(attempt.seconds),
            "-" if attempt.resumed_step is None else attempt.resumed_step,
            attempt.error_message or "",
        )
        for attempt in attempts
    ]
    columns = ("attempt", "state", "host", "time", "resumed at step", "error")
    print_table("", columns, rows, right=("attempt", "time", "resumed at step"))
    for note in notes:
        out.print(f"note: {note}", soft_wrap=True, markup=False)
