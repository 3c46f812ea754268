"""`top`: all sweeps in progress, where their trials run, what they spend, and the machines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live

from sweep.cli.console import out, print_json
from sweep.cli.look_verbs import Json
from sweep.cli.looking import Looking
from sweep.cli.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from sweep.execution.head import Head

LOOK_SECONDS = 2.0
LOST_SECONDS = 120.0
"""How long a ledger or head that does not answer is waited for."""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(top)


def top(
    cluster: Annotated[
        str | None,
        typer.Option(help="Also show this cluster's machines: its head's address, or its name."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once; so without a terminal.")] = False,
    json: Json = False,
) -> None:
    """Show live what runs where, and what it costs; Ctrl-C leaves everything be."""
    from sweep.cli.top_view import Overseer, top_json, top_lines, top_panel

    workplace = open_workplace()
    overseer = Overseer(workplace.ledger, _head(workplace, cluster))
    if json:
        print_json(top_json(overseer.look()))
        return
    if once or not out.is_terminal:
        for line in top_lines(overseer.look()):
            out.print(line, soft_wrap=True, markup=False)
        return
    looking = Looking(LOST_SECONDS)
    try:
        with Live(console=out, auto_refresh=False, screen=True) as live:
            while True:
                seen = looking.at(overseer.look)
                if seen is not None:
                    live.update(top_panel(seen), refresh=True)
                time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return


def _head(workplace: Workplace, named: str | None) -> Head | None:
    if named is None:
        return None
    from infra.clusters import find_cluster
    from sweep.execution.head import Head

    return Head(find_cluster(named, workplace.settings))
