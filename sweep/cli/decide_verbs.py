"""The verb `report`: what a sweep's runs say."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.markup import escape

from infra.errors import InputError
from sweep.cli.console import out, print_json
from sweep.cli.showing import show_in_mlflow
from sweep.cli.workplace import open_workplace

if TYPE_CHECKING:
    from analysis.report.writing import Format


class ReportForm(StrEnum):
    """What `report` writes."""

    HTML = "html"
    MARKDOWN = "markdown"
    LATEX = "latex"
    NOTEBOOK = "notebook"
    ALL = "all"


SweepNames = Annotated[list[str] | None, typer.Argument(help="Sweeps by name or start of id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command()(report)


def report(
    sweeps: SweepNames = None,
    *,
    to: Annotated[
        Path | None, typer.Option("--out", help="File to write; SWEEP-report.html if absent.")
    ] = None,
    form: Annotated[
        ReportForm,
        typer.Option("--format", help="A page, tables as Markdown or LaTeX, the notebook, or all."),
    ] = ReportForm.HTML,
    notebook: Annotated[
        str | None,
        typer.Option(help="ablation, compare_sweeps, ensemble, paper_tables, or an .ipynb file."),
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="A test benchmark; a sweep's first one if absent.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Points that would not matter: which levels are shown to differ by less."
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="A folder of score tables of models trained elsewhere, to compare."),
    ] = None,
    json: Json = False,
) -> None:
    """Write the report: one HTML file that needs nothing else, tables for a paper."""
    from analysis.report.writing import SUFFIXES, write_report

    workplace = open_workplace()
    rows = [workplace.ledger.sweep(name) for name in sweeps or ()]
    if not rows and scores is None:
        raise InputError("name a sweep, or a folder of score tables with --scores")
    formats = list(SUFFIXES) if form is ReportForm.ALL else [cast("Format", form.value)]
    named = rows[0].sweep_id if rows else Path(str(scores)).resolve().name
    path = to or Path(f"{named}-report{SUFFIXES[formats[0]]}")
    result = write_report(
        workplace.ledger,
        workplace.store(rows[0].storage if rows else "auto"),
        [row.sweep_id for row in rows],
        path,
        formats=formats,
        notebook=notebook,
        benchmark=benchmark,
        margin=margin,
        scores=scores,
    )
    show_in_mlflow(workplace, rows)
    if json:
        print_json(result.to_json())
        return
    out.print(escape(result.headline))
    for written in result.paths:
        out.print(f"report: {written}", soft_wrap=True, markup=False)
