"""`logs`: what ranks wrote, or write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import InputError, MissingError
from sweep.cli.console import err, out
from sweep.cli.look_verbs import SHORT, SweepName, find_trial
from sweep.cli.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from sweep.records.rows import SweepRow, TrialView


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(logs)


def logs(
    sweep: SweepName,
    trial: Annotated[
        str | None,
        typer.Argument(help="The start of a trial's identity, or ARM/SEED; with -f all if absent."),
    ] = None,
    rank: Annotated[int, typer.Option(help="Which rank of the gang.")] = 0,
    attempt: Annotated[int | None, typer.Option(help="Which attempt; the last if absent.")] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Print what comes, until it ends; some 10 s late."),
    ] = False,
) -> None:
    """Print what a trial's rank wrote, also when it failed; or follow it while it runs."""
    workplace = open_workplace()
    row = workplace.ledger.sweep(sweep)
    view = None if trial is None else find_trial(workplace.ledger.trials(row.sweep_id), trial)
    if follow:
        if attempt is not None:
            raise InputError("--follow goes from attempt to attempt; leave --attempt out")
        _follow(workplace, row, view, rank)
    elif view is None:
        raise InputError(
            f"expected a trial; name one (`rmsweep show {row.sweep_id}` lists them), or follow all "
            "with `-f`"
        )
    else:
        _print_whole(workplace, row, view, rank, attempt)


def _follow(workplace: Workplace, row: SweepRow, view: TrialView | None, rank: int) -> None:
    from sweep.cli.following import LogFollower

    follower = LogFollower(
        workplace.ledger,
        row.sweep_id,
        lambda one: workplace.store(one.storage or row.storage),
        rank=rank,
        identity=None if view is None else view.identity,
    )
    follower.follow()


def _print_whole(
    workplace: Workplace, row: SweepRow, view: TrialView, rank: int, attempt: int | None
) -> None:
    from sweep.cli.following import log_keys

    store = workplace.store(view.storage or row.storage)
    number = attempt if attempt is not None else view.attempts
    key = f"trials/{view.identity}/logs/attempt-{number}/rank-{rank}.txt"
    keys = log_keys(store, view.identity, rank=rank)
    if attempt is None and keys and key not in keys:
        # One that was paused or lost before its ranks began counts in the ledger and wrote nothing.
        key = keys[-1]
        err.print(f"the last log there is, {key.split('/logs/')[1]}", style="dim")
    if key not in keys:
        have = store.keys(f"trials/{view.identity}/logs/")
        listed = ", ".join(name.split("/logs/")[1] for name in have) or "none"
        raise MissingError(
            f"no log of attempt {number}, rank {rank} for trial {view.identity[:SHORT]}; "
            f"there is: {listed}"
        )
    out.out(store.read(key).decode(errors="replace"), end="", highlight=False)
