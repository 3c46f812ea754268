"""The verb `replay`: a sweep file on recorded learning curves, hours in seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sweep.cli.console import duration_text, out, print_json, print_table
from sweep.cli.plan_verbs import Json, Overrides, SweepFile

if TYPE_CHECKING:
    from sweep.replay.outcome import ReplayOutcome


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(replay)


def replay(  # noqa: PLR0917 -- typer declares options in signatures
    file: SweepFile,
    curves: Annotated[
        str, typer.Option("--curves", help="YAML file that describes recorded curves.")
    ],
    workers: Annotated[int, typer.Option("--workers", min=1, max=1_000_000, help="At once.")] = 1,
    order: Annotated[
        int, typer.Option("--order", min=0, help="Seed of the order configurations are tried in.")
    ] = 0,
    ledger: Annotated[
        str | None, typer.Option("--ledger", help="Write it into this ledger; else into memory.")
    ] = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Play a sweep file through on recorded curves: what would it have found, at what cost?"""
    from sweep.records.database import database_in_memory
    from sweep.records.ledger import Ledger
    from sweep.replay.curves import load_curves
    from sweep.replay.planning import plan_replay
    from sweep.replay.replaying import replay_sweep
    from sweep.replay.working import SimulatedClock
    from sweep.spec.load import load_sweep

    plan = plan_replay(load_sweep(file, overrides or ()), load_curves(curves), order=order)
    clock = SimulatedClock()
    with (
        Ledger(database_in_memory(), clock=clock)
        if ledger is None
        else Ledger.open(ledger, clock=clock)
    ) as opened:
        outcome = replay_sweep(plan, workers=workers, ledger=opened, clock=clock)
    if json:
        print_json(asdict(outcome) | {"regret": outcome.regret})
    else:
        _show(outcome)


def _show(outcome: ReplayOutcome) -> None:
    out.print(f"[bold]{outcome.sweep_id}[/bold]  {outcome.state}: {escape(outcome.reason)}")
    rows = [
        (
            duration_text(each.spent_seconds),
            f"{each.spent_seconds / outcome.full_device_seconds:.0%}",
            each.configuration,
            f"{each.value:.5g}",
            f"{each.regret:.4g}",
        )
        for each in outcome.incumbents
    ]
    columns = ("device time", "of all", "best so far", "ends with", "regret")
    print_table("", columns, rows, right=("device time", "of all", "ends with", "regret"))
    out.print(
        f"{outcome.configurations} configurations: {outcome.finished} trained to their end, "
        f"{outcome.stopped_early} stopped early"
    )
    out.print(
        f"spent {duration_text(outcome.device_seconds)} of devices in "
        f"{duration_text(outcome.makespan_seconds)}; training all of them takes "
        f"{duration_text(outcome.full_device_seconds)}"
    )
    best = f"{outcome.best_configuration} ({outcome.best_value:.5g})"
    ends = outcome.best_in_sweep
    reached = "none" if ends is None else f"{ends:.5g}"
    out.print(f"best of the table in hindsight: {best}; of this sweep: {reached}", markup=False)
    out.print(f"stopping early {outcome.early_stopping}")
