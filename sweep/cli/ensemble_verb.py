"""The verb `ensemble`: from the best models to one file to score with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from infra.errors import InputError
from sweep.cli.console import number_text, out, print_json, print_table
from sweep.cli.showing import show_in_mlflow
from sweep.cli.workplace import open_workplace

if TYPE_CHECKING:
    from analysis.ensembles.asking import Asked
    from analysis.ensembles.result import EnsembleResult
    from analysis.foreign.tables import ForeignScores


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(ensemble)


def ensemble(
    sweeps: Annotated[
        list[str] | None, typer.Argument(help="Sweeps by name or start of id.")
    ] = None,
    *,
    scores: Annotated[
        Path | None, typer.Option(help="A folder of score tables of models trained elsewhere.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="auto: what does best in cross-validation; or one by name.")
    ] = "auto",
    validation: Annotated[
        str | None, typer.Option(help="Benchmark to choose on; the sweep's own if absent.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Benchmark to judge on; the first shared one if absent.")
    ] = None,
    at_most: Annotated[int, typer.Option(min=2, help="Models to choose from, best first.")] = 25,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge",
            help="Also average weights of models alike and score the averages here, once.",
        ),
    ] = False,
    name: Annotated[str | None, typer.Option(help="Of the ensemble.")] = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="File to write; SWEEP-ensemble.json if absent.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Build an ensemble from the best models: chosen on validation, judged on test."""
    from analysis.ensembles.asking import Asked

    asked = Asked(method=method, name=name, validation=validation, test=test, at_most=at_most)
    foreign = _foreign(scores)
    if sweeps:
        merge = merge or method == "merged"
        result, path = _of_sweeps(sweeps, foreign, asked, to, merge=merge)
    elif merge:
        raise InputError("--merge averages weights, and score tables have none; name a sweep")
    elif foreign is not None:
        result, path = _of_scores(foreign, asked, to)
    else:
        raise InputError("name a sweep, or a folder of score tables with --scores")
    if json:
        print_json(result.to_json())
        return
    _print(result, [] if foreign is None else foreign.notes)
    out.print(f"ensemble: {path}", soft_wrap=True, markup=False)


def _foreign(folder: Path | None) -> ForeignScores | None:
    from analysis.foreign.tables import read_foreign_scores

    return None if folder is None else read_foreign_scores(folder)


def _of_sweeps(
    sweeps: list[str], foreign: ForeignScores | None, asked: Asked, to: Path | None, *, merge: bool
) -> tuple[EnsembleResult, Path]:
    from analysis.ensembles.choosing import ensemble_sweep
    from sweep.cli.merge_scoring import merge_scorer

    workplace = open_workplace()
    rows = [workplace.ledger.sweep(name) for name in sweeps]
    path = to or Path(f"{rows[0].sweep_id}-ensemble.json")
    result = ensemble_sweep(
        workplace.ledger,
        workplace.store(rows[0].storage),
        [row.sweep_id for row in rows],
        foreign=foreign,
        asked=asked,
        score_merge=merge_scorer(workplace.ledger, rows) if merge else None,
        path=path,
    )
    show_in_mlflow(workplace, rows)
    return result, path


def _of_scores(
    foreign: ForeignScores, asked: Asked, to: Path | None
) -> tuple[EnsembleResult, Path]:
    from analysis.ensembles.choosing import choose_ensemble
    from analysis.ensembles.result import write_result

    path = to or Path(f"{foreign.folder.resolve().name}-ensemble.json")
    result = choose_ensemble(foreign=foreign, asked=asked)
    write_result(path, result.to_bytes())
    return result, path


def _print(result: EnsembleResult, notes: tuple[str, ...] | list[str]) -> None:
    from analysis.statistics.verdicts import signed

    out.print(escape(result.headline))
    if result.basis:
        out.print(escape(result.basis), style="dim")
    cells = [
        (member.label, f"{member.weight:.3f}", number_text(member.validation_accuracy),
         member.identity[:10])
        for member in result.members
    ]  # fmt: skip
    columns = ("member", "weight", "alone on validation", "identity")
    title = f"{result.method} ({result.setting}), of {result.candidates} models"
    print_table(title, columns, cells, right=columns[1:3])
    compared = [
        (row.method, number_text(row.accuracy), signed(row.difference),
         "-" if row.against_single is None
         else f"{signed(row.against_single.low)} to {signed(row.against_single.high)}")
        for row in result.compared
    ]  # fmt: skip
    columns = ("method", "accuracy", "against single", "95% interval")
    title = f"{result.validation_benchmark}, pairs not seen when fitted"
    print_table(title, columns, compared, right=columns[1:])
    if result.diversity is not None:
        out.print(result.diversity.text, soft_wrap=True)
    for note in (*notes, *result.notes, *(f"left out: {why}" for why in result.left_out[:8])):
        out.print(note, soft_wrap=True, markup=False)
    out.print(f"accuracy on test: {number_text(result.accuracy)}")
