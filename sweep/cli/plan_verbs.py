"""Verbs that show what would be done: `check` a sweep file, list the search `spaces`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.console import (
    print_json,
    print_table,
    print_warning,
)
from sweep.cli.workplace import open_workplace

if TYPE_CHECKING:
    from sweep.engine.planning.plan import SweepPlan

SweepFile = Annotated[str, typer.Argument(help="A sweep file, or the name of a shipped recipe.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="PATH=VALUE, changed in the file before all else.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (check, spaces):
        app.command()(verb)


def check(
    file: SweepFile,
    overrides: Overrides = None,
    devices: Annotated[
        int | None, typer.Option("--devices", min=1, help="Devices to run on; this machine's.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Their kind: cpu-core, a100, h100.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a sweep file: print its trials and its price, start nothing."""
    from sweep.cli.plan_view import plan_json, print_plan
    from sweep.cli.planning import named_cluster, plan_file, under_way

    workplace = open_workplace()
    plan, notes = plan_file(workplace, file, overrides or (), named_cluster(devices, device))
    refuse_over_budget(plan, file)
    waits = under_way(workplace, plan)
    if json:
        print_json(plan_json(plan, waits) | {"notes": list(notes)})
        return
    print_plan(plan, waits)
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
    from sweep.engine.planning.fitting import budget_problems

    problems = budget_problems(plan)
    if problems:
        raise SpecError(str(file), problems)
