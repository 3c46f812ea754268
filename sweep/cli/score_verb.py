"""The verb `score`: responses in a file to a table of scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from infra.errors import InputError
from sweep.cli.console import err, number_text, out, print_json, print_table, print_warning

if TYPE_CHECKING:
    import pyarrow as pa

    from trainer.scoring_files import Progress, ScoredFile

SHOWN_ROWS = 50
"""Of a table on the terminal; `--out` and `--json` have all."""
_NAMED = 10


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(score)


def score(
    model: Annotated[Path, typer.Argument(help="An ensemble.json, or a trial's model folder.")],
    responses: Annotated[
        Path, typer.Argument(help="JSONL, Parquet or CSV of prompts with one response or more.")
    ],
    *,
    to: Annotated[
        Path | None, typer.Option("--out", help="Write the table here: .parquet, .jsonl or .csv.")
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0, help="GiB for weights; members that do not fit together take turns."),
    ] = None,
    moved: Annotated[
        list[str] | None,
        typer.Option(help="OLD=NEW: where a store named in the ensemble is now; repeatable."),
    ] = None,
    benchmark: Annotated[str, typer.Option(help="Name of the items in the table.")] = "scored",
    split: Annotated[
        str, typer.Option(help="validation or test: what the table may be used for later.")
    ] = "test",
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Score responses with an ensemble or one model; a broken run goes on where it was."""
    from trainer.score_forms import read_scored
    from trainer.scoring import every_core, load_reward_model
    from trainer.scoring_files import score_file, scratch_result

    with every_core(), scratch_result() as scratch, _Bar(responses.name) as bar:
        scorer = load_reward_model(model, memory_gib=memory, stores=_moved(moved or []))
        result = to or scratch
        outcome = score_file(
            scorer,
            responses,
            result,
            benchmark=benchmark,
            split=_split(split),
            progress=bar.show,
        )
        table = read_scored(result) if json or to is None else None
    _warn(outcome, responses)
    if table is not None and json:
        print_json(table.to_pylist())
    elif table is not None:
        _print(table)
    else:
        went_on = f", {outcome.resumed_parts} parts found" if outcome.resumed_parts else ""
        out.print(f"{outcome.responses} scores{went_on}: {to}", soft_wrap=True, markup=False)


class _Bar:
    """A progress bar on the error stream, where that is a terminal."""

    def __init__(self, name: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._bar = Progress(
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._task = self._bar.add_task(name, total=None)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def show(self) -> Progress:
        """Takes rows done and rows in all."""

        def show(done: int, total: int) -> None:
            self._bar.update(self._task, completed=done, total=total)

        return show


def _split(name: str) -> Literal["validation", "test"]:
    if name == "validation":
        return "validation"
    if name == "test":
        return "test"
    raise InputError(f"--split must be validation or test, got {name!r}")


def _moved(pairs: list[str]) -> dict[str, str]:
    stores = {}
    for pair in pairs:
        old, separator, new = pair.partition("=")
        if not separator or not old or not new:
            raise InputError(f"--moved takes OLD=NEW, two store addresses, got {pair!r}")
        stores[old] = new
    return stores


def _warn(outcome: ScoredFile, source: Path) -> None:
    for number, reason in outcome.unusable[:_NAMED]:
        print_warning(f"row {number} of {source} left out: {reason}")
    if len(outcome.unusable) > _NAMED:
        print_warning(f"{len(outcome.unusable) - _NAMED} more rows of {source} left out")


def _print(table: pa.Table) -> None:
    rows = table.slice(0, SHOWN_ROWS).to_pylist()
    best: dict[str, float] = {}
    for row in rows:
        best[row["item_id"]] = max(row["score"], best.get(row["item_id"], row["score"]))
    extra = [name for name in ("probability", "uncertainty") if name in table.column_names]
    cells = [
        (
            row["item_id"],
            row["response"] + 1,
            number_text(row["score"]),
            *(number_text(row[name]) for name in extra),
            "*" if row["score"] == best[row["item_id"]] else "",
        )
        for row in rows
    ]
    columns = ("row", "response", "score", *extra, "best")
    print_table("", columns, cells, right=("row", "response", "score", *extra))
    if table.num_rows > SHOWN_ROWS:
        out.print(f"{table.num_rows - SHOWN_ROWS} more: --out FILE or --json has all")
