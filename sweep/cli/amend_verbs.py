"""Verbs that change what a registered sweep is: `extend`, `fork`, `diff`, `budget`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.errors import InputError
from sweep.cli.changed_files import change_lines
from sweep.cli.console import counted, out, print_json, print_table
from sweep.cli.workplace import open_workplace

if TYPE_CHECKING:
    from sweep.engine.planning.plan import SweepPlan

SweepName = Annotated[str, typer.Argument(help="Name of a sweep, or the start of its id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="PATH=VALUE, changed in what the sweep asks for.")
]
budget_app = typer.Typer(help="What a sweep may spend.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (extend, fork, diff):
        app.command()(verb)
    app.add_typer(budget_app, name="budget")


def extend(
    sweep: SweepName,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Seeds of every arm from now on.")
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Option("--levels", help="AXIS=LEVEL[,LEVEL], added to an axis' levels."),
    ] = None,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what it would add.")
    ] = False,
    json: Json = False,
) -> None:
    """Add seeds, levels or points to a sweep; what it has is kept, `resume` trains the rest."""
    from sweep.cli.amending import extended_spec
    from sweep.cli.planning import plan_spec
    from sweep.execution.registration import arm_rows, trial_rows

    workplace = open_workplace()
    row = workplace.ledger.sweep(sweep)
    spec = extended_spec(row, seeds=seeds, levels=levels or (), overrides=overrides or ())
    plan = plan_spec(workplace, spec, sweep_id=row.sweep_id)
    _refuse_pending(plan)
    known = {view.identity for view in workplace.ledger.trials(row.sweep_id)}
    new = [trial for trial in plan.trials if trial.identity not in known]
    if not dry_run:
        workplace.ledger.extend_sweep(
            row.sweep_id,
            plan.spec.model_dump(mode="json"),
            arms=arm_rows(plan),
            trials=trial_rows(plan),
        )
    to_train = sum(not trial.finished for trial in new)
    if json:
        print_json({"sweep": row.sweep_id, "new": len(new), "to_train": to_train})
        return
    verb = "would add" if dry_run else "added"
    out.print(
        f"{row.sweep_id}: {verb} {len(new)} trials to {len(known)}, {to_train} of them to train"
    )
    if not dry_run and new:
        again = "once its driver has ended, " if row.live else ""
        out.print(f"{again}`rmsweep resume {row.sweep_id}` trains them")


def fork(
    sweep: SweepName,
    name: Annotated[str, typer.Argument(help="Name of the new sweep.")],
    overrides: Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--out", help="The new sweep file; NAME.yaml here if absent.")
    ] = None,
) -> None:
    """Write a new sweep file from a sweep, changed; what still fits is reused when it runs."""
    from sweep.cli.amending import forked_spec, written_spec
    from sweep.cli.planning import plan_spec
    from sweep.engine.planning.comparison import asked_changes

    workplace = open_workplace()
    row = workplace.ledger.sweep(sweep)
    spec = forked_spec(row, name, overrides or ())  # first: not every name is one of a file
    path = output or Path(f"{name}.yaml")
    if path.exists():
        raise InputError(f"{path} is there already; name another file with --out")
    plan = plan_spec(workplace, spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written_spec(spec, row.sweep_id), encoding="utf-8")
    for line in change_lines(asked_changes(row.spec_json, spec.model_dump(mode="json"))):
        out.print(line, style="dim", soft_wrap=True, markup=False)
    reused = len(plan.trials) - len(plan.to_execute)
    out.print(
        f"wrote {path}: {counted(len(plan.arms), 'arm')}, "
        f"{counted(len(plan.trials), 'trial')}, {reused} reused, "
        f"{len(plan.to_execute)} to train; `rmsweep run {path}` runs it",
        markup=False,
    )


def diff(
    first: Annotated[str, typer.Argument(help="A sweep, or a sweep file.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    json: Json = False,
) -> None:
    """Show in what two sweeps differ, and which trainings they share."""
    from sweep.cli.amending import side
    from sweep.engine.planning.comparison import shared_trials, spec_changes

    workplace = open_workplace()
    one, other = side(workplace, first), side(workplace, second)
    changes = spec_changes(one.spec_json, other.spec_json)
    shared = shared_trials(one.trials, other.trials)
    if json:
        print_json(
            {
                "first": one.name,
                "second": other.name,
                "changes": [
                    {"path": c.path, "before": c.before, "after": c.after, "kind": c.kind}
                    for c in changes
                ],
                "trials": {
                    "both": list(shared.both),
                    "only_first": list(shared.only_first),
                    "only_second": list(shared.only_second),
                },
            }
        )
        return
    rows = [(change.path, _cell(change.before), _cell(change.after)) for change in changes]
    if rows:
        print_table("", ("setting", one.name, other.name), rows, wrap=(one.name, other.name))
    else:
        out.print("both ask for the same")
    cells: list[tuple[object, ...]] = []
    for label, identities, names in (
        ("only in " + one.name, shared.only_first, one.trials),
        ("only in " + other.name, shared.only_second, other.trials),
    ):
        arms = list(dict.fromkeys(names[identity][0] for identity in identities))
        cells.append((label, len(identities), "; ".join(arms[:4]) + ("; ..." if arms[4:] else "")))
    cells.append(("in both", len(shared.both), ""))
    print_table("", ("trainings", "trials", "arms"), cells, right=("trials",))


@budget_app.command("set")
def set_budget(
    sweep: SweepName,
    limits: Annotated[list[str], typer.Argument(help="LIMIT=VALUE, such as hours=3; none lifts.")],
) -> None:
    """Change what a sweep may spend, also while it runs."""
    from sweep.cli.amending import changed_budget, limit_texts

    workplace = open_workplace()
    row = workplace.ledger.sweep(sweep)
    budget = changed_budget(row, limits)
    workplace.ledger.set_budget(row.sweep_id, budget)
    spent = workplace.ledger.spent(row.sweep_id)
    shown = ", ".join(limit_texts(budget))
    out.print(
        f"{row.sweep_id}: may spend {shown or 'without limit'}; spent so far: "
        f"{spent.device_seconds / 3600:.2f} device-hours, {spent.wall_seconds / 3600:.2f} h"
    )
    if not row.live and row.state == "stopped":
        out.print(f"`rmsweep resume {row.sweep_id}` goes on with it")


def _cell(value: Any) -> str:  # noqa: ANN401 -- any setting
    return "-" if value is None else str(value)


def _refuse_pending(plan: SweepPlan) -> None:
    if plan.pending:
        raise InputError(
            "data or a backbone of the new trials is not on this machine; extend the sweep where "
            "it can be seen"
        )
