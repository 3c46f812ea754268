"""Verbs that show what would be done: `check` a sweep file, list the search `spaces`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.console import (
    duration_text,
    out,
    print_json,
    print_table,
    print_warning,
)
from sweep.cli.workplace import open_workplace

if TYPE_CHECKING:
    from sweep.engine.cost_model import Interval
    from sweep.engine.plan import SweepPlan

SweepFile = Annotated[str, typer.Argument(help="A sweep file, or the name of a shipped recipe.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="PATH=VALUE, changed in the file before all else.")
]
ALIASES_SHOWN = 12
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (check, spaces):
        app.command()(verb)


def check(file: SweepFile, overrides: Overrides = None, json: Json = False) -> None:
    """Check a sweep file: print its trials and its price, start nothing."""
    from sweep.cli.planning import plan_file

    plan, notes = plan_file(open_workplace(), file, overrides or ())
    refuse_over_budget(plan, file)
    if json:
        print_json(_plan_json(plan) | {"notes": list(notes)})
        return
    print_plan(plan)
    for note in notes:
        print_warning(note)


def spaces(
    name: Annotated[str | None, typer.Argument(help="An axis; all of them if absent.")] = None,
    json: Json = False,
) -> None:
    """List the axes that ship with rmsweep, or the levels of one."""
    from search_spaces.catalog import axis_rows, level_rows

    if name is None:
        rows = axis_rows()
        if json:
            print_json(rows)
            return
        cells = [(row["name"], row["doc"], ", ".join(row["levels"])) for row in rows]
        columns = ("axis", "what varies", "levels")
        print_table("", columns, cells, wrap=columns)
        return
    levels = level_rows(name)
    if json:
        print_json(levels)
        return
    cells = [
        (
            row["name"] + (" (default)" if row["is_baseline"] else ""),
            row["doc"],
            ", ".join(f"{path}={value}" for path, value in row["patch"].items()),
        )
        for row in levels
    ]
    columns = ("level", "what it is", "settings")
    print_table(name, columns, cells, wrap=columns)


def refuse_over_budget(plan: SweepPlan, file: str) -> None:
    """Refuse a plan that cannot fit its own budget.

    Raises:
        SpecError: Saying what it needs, and the cheapest ways to fit.
    """
    from infra.errors import SpecError
    from sweep.engine.fitting import budget_problems

    problems = budget_problems(plan)
    if problems:
        raise SpecError(str(file), problems)


def print_plan(plan: SweepPlan) -> None:
    """The plan for people: one row per arm, then the price."""
    done = sum(trial.finished for trial in plan.trials)
    out.print(f"[bold]{plan.sweep_id}[/bold]  {plan.spec.question}")
    rows = []
    for arm in plan.arms:
        trials = [trial for trial in plan.trials if trial.arm == arm.name]
        finished = sum(trial.finished for trial in trials)
        rows.append(
            (
                arm.name,
                len(trials),
                finished or "",
                trials[0].workers,
                duration_text(trials[0].seconds.mid),
                "pending" if arm.pending else trials[0].identity[:10],
            )
        )
    columns = ("arm", "seeds", "reused", "workers", "time each", "first identity")
    print_table("", columns, rows, right=("seeds", "reused", "workers", "time each"))
    for line in _design_lines(plan):
        out.print(line, style="dim", soft_wrap=True)
    estimate = plan.estimate
    out.print(
        f"{len(plan.arms)} arms, {len(plan.trials)} trials, {done} reused, "
        f"{len(plan.to_execute)} to train"
    )
    hours = estimate.device_hours
    out.print(f"device-hours  {hours.mid:.2f}  ({hours.low:.2f} to {hours.high:.2f})")
    if estimate.usd is not None:
        usd = estimate.usd
        out.print(f"money         ${usd.mid:.2f}  (${usd.low:.2f} to ${usd.high:.2f})")
    if estimate.makespan_hours is not None:
        span = estimate.makespan_hours
        out.print(
            f"wall time     {duration_text(span.mid * 3600)}  "
            f"({duration_text(span.low * 3600)} to {duration_text(span.high * 3600)}) on "
            f"{estimate.market.devices} x {estimate.market.device}"
        )
    measured = estimate.market.calibrated_on
    out.print(
        f"price from {measured} earlier trials"
        if measured
        else "price by arithmetic alone; it sharpens once a trial has been measured",
        style="dim",
    )


def _design_lines(plan: SweepPlan) -> list[str]:
    """What can and cannot be told apart in the design."""
    facts = plan.design
    lines = []
    if facts.resolution is not None:
        lines.append(f"fraction of resolution {facts.resolution}; cannot be told apart:")
        shown = facts.aliases[:ALIASES_SHOWN]
        lines += [f"  {line}" for line in shown] or ["  nothing up to pairs of axes"]
        if len(facts.aliases) > len(shown):
            lines.append(f"  and {len(facts.aliases) - len(shown)} more groups; --json has all")
    if facts.left_out:
        lines.append(f"{facts.left_out} combinations break a rule and are left out")
    return [*lines, *facts.remarks]


def _plan_json(plan: SweepPlan) -> dict[str, Any]:
    estimate = plan.estimate
    return {
        "sweep": plan.sweep_id,
        "question": plan.spec.question,
        "pending": plan.pending,
        "design": asdict(plan.design),
        "arms": [
            {"name": arm.name, "axis": arm.axis, "level": arm.level, "point": dict(arm.point)}
            for arm in plan.arms
        ],
        "trials": [
            {
                "identity": trial.identity,
                "arm": trial.arm,
                "seed": trial.seed,
                "workers": trial.workers,
                "seconds": trial.seconds.mid,
                "reused": trial.finished,
                "pending": trial.pending,
            }
            for trial in plan.trials
        ],
        "estimate": {
            "trials": estimate.trials,
            "device_hours": _interval_json(estimate.device_hours),
            "usd": _interval_json(estimate.usd),
            "makespan_hours": _interval_json(estimate.makespan_hours),
            "devices": estimate.market.devices,
            "calibrated_on": estimate.market.calibrated_on,
        },
    }


def _interval_json(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"low": interval.low, "mid": interval.mid, "high": interval.high}
