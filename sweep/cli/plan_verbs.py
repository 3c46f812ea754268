"""Verbs that show what would be done: `check` a sweep file, list the search `spaces`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.errors import InputError
from sweep.cli.console import (
    out,
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
DeviceCount = Annotated[
    int | None,
    typer.Option(
        "--devices", min=1, max=1_000_000, help="Devices to run on, instead of what there is."
    ),
]
DeviceKind = Annotated[
    str | None, typer.Option("--device", help="Their kind: cpu-core, a100, h100, h200.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (check, spaces):
        app.command()(verb)


def check(
    file: SweepFile,
    overrides: Overrides = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Price for this cluster's machines: its head's address, or its name."),
    ] = None,
    devices: DeviceCount = None,
    device: DeviceKind = None,
    json: Json = False,
) -> None:
    """Check a sweep file: print its trials and its price, start nothing."""
    from infra.clusters import find_cluster
    from sweep.cli.offers import offer_named, offer_of
    from sweep.cli.plan_view import plan_json, print_plan
    from sweep.cli.planning import plan_file, under_way

    workplace = open_workplace()
    if cluster is None:
        offer = offer_named(devices, device)
    else:
        entry = find_cluster(cluster, workplace.settings)
        offer = offer_of(entry, devices, device)
        if offer is None:
            raise InputError(
                f"the cluster at {entry.address} has no devices now; say what it grows to with "
                "--devices and --device, or as `devices` and `device` of its entry"
            )
    plan, notes = plan_file(workplace, file, overrides or (), offer)
    refuse_over_budget(plan, file)
    waits = under_way(workplace, plan)
    if json:
        print_json(plan_json(plan, waits) | {"notes": list(notes)})
        return
    print_plan(plan, waits)
    for note in notes:
        print_warning(note)


def spaces(
    name: Annotated[
        str | None,
        typer.Argument(help="An axis, or with --settings where a setting's name begins."),
    ] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="List what can be set; any setting can be an axis.")
    ] = False,
    recipes: Annotated[
        bool, typer.Option("--recipes", help="List the sweep files and baselines that ship.")
    ] = False,
    json: Json = False,
) -> None:
    """List what can vary: the shipped axes, the levels of one, all settings, or the recipes."""
    from search_spaces.catalog import axis_rows, level_rows
    from search_spaces.recipes import recipe_rows
    from search_spaces.setting_rows import setting_rows

    columns: tuple[str, ...]
    if recipes:
        rows: list[dict[str, Any]] = [*recipe_rows()]
        columns = ("name", "doc")
    elif settings:
        rows, columns = setting_rows(name or ""), ("name", "allowed", "default", "doc")
    elif name is None:
        rows, columns = axis_rows(), ("name", "doc", "levels")
    else:
        rows, columns = level_rows(name), ("name", "doc", "patch")
    if json:
        print_json(rows)
        return
    cells = [tuple(_cell(row, column) for column in columns) for row in rows]
    heads = tuple(_HEADS[column] for column in columns)
    print_table("" if settings else name or "", heads, cells, wrap=heads)
    if name is None and not (settings or recipes):
        out.print(
            "levels of one: `rmsweep spaces AXIS`; any setting can be an axis: --settings; "
            "files to begin with: --recipes",
            style="dim",
        )


_HEADS = {
    "name": "name",
    "doc": "what it is",
    "allowed": "may be",
    "default": "default",
    "levels": "levels",
    "patch": "settings",
}


def _cell(row: dict[str, Any], column: str) -> str:
    value = row[column]
    if column == "name":
        return str(value) + (" (default)" if row.get("is_baseline") else "")
    if column == "levels":
        return ", ".join(value)
    if column == "patch":
        return ", ".join(f"{path}={setting}" for path, setting in value.items())
    return str(value) if isinstance(value, str) else dumps(value)


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
