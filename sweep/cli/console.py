"""Where text goes: tables and words for people, JSON for programs, errors on the error stream."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from sweep.records.rows import SweepRow

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_GAP = 2
"""Columns of the terminal between two of a table."""
_FOLDED = 16
"""Columns of the terminal below which what may wrap is no longer readable."""

STATE_STYLES = {
    "succeeded": "green",
    "running": "cyan",
    "pending": "dim",
    "paused": "yellow",
    "stopped_early": "yellow",
    "failed": "red",
    "cancelled": "dim",
    "stopped": "yellow",
}


def print_error(message: str) -> None:
    """One error, on the error stream, as plain text."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def print_warning(message: str) -> None:
    """Something the user should know that does not stop anything."""
    err.print(Text.assemble(("warning: ", "bold yellow"), message), soft_wrap=True)


def print_json(value: Any) -> None:  # noqa: ANN401 -- any JSON value
    """One JSON document on standard output, never wrapped or coloured."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, allow_nan=False) + "\n")


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    wrap: Sequence[str] | None = None,
) -> None:
    """A table for people; cells are escaped.

    Where no terminal looks on, a row is one line however long, for `grep` and the like. A terminal
    too narrow for the columns gets a paragraph per row, since a table would lose its first columns.

    Args:
        title: Above the table; none when empty.
        columns: Their heads.
        rows: Cells, one per column.
        right: Columns to be right-aligned.
        wrap: Columns that may wrap; the first and the last when absent, for names and remarks are
            long and figures are not.
    """
    folding = {columns[0], columns[-1]} if wrap is None else set(wrap)
    cells = [
        tuple(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row) for row in rows
    ]
    widths = [
        max(cell_len(text) for text in (head, *(row[place].plain for row in cells))) + _GAP
        for place, head in enumerate(columns)
    ]
    least = sum(
        min(width, _FOLDED) if head in folding else width
        for head, width in zip(columns, widths, strict=True)
    )
    whole = not out.is_terminal
    if least > out.width and not whole:
        _print_paragraphs(title, columns, cells)
        return
    table = Table(
        title=escape(title) or None,
        title_justify="left",
        header_style="bold",
        box=None,
        padding=(0, _GAP, 0, 0),
        width=sum(widths) if whole else None,
    )
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column not in folding)
    for row in cells:
        table.add_row(*row)
    out.print(table, crop=not whole)


def _print_paragraphs(title: str, columns: Sequence[str], rows: Iterable[Sequence[Text]]) -> None:
    if title:
        out.print(Text(title, style="italic"))
    for row in rows:
        out.print(Text.assemble(f"{columns[0]}: ", row[0], style="bold"))
        rest = [
            Text.assemble(f"{head}: ", cell)
            for head, cell in zip(columns[1:], row[1:], strict=True)
            if cell.plain
        ]
        out.print(Padding(Text("; ").join(rest), (0, 0, 0, _GAP)))


def state_text(state: str) -> Text:
    """A state in its colour; the word alone says it too."""
    return Text(state.replace("_", " "), style=STATE_STYLES.get(state, ""))


def shown_state(sweep: SweepRow) -> str:
    """A sweep's state; `interrupted` where no living driver has it."""
    if sweep.state == "running" and not sweep.live:
        return "interrupted"
    return str(sweep.state)


def counted(number: int, what: str) -> str:
    """A number of things in words, such as `1 arm` or `1,200 arms`; the plural takes an s."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


DAYS_FROM_HOURS = 100
"""Hours up to here are told as hours."""


def duration_text(seconds: float | None) -> str:
    """`12 days 03 h`, `1 h 05 min`, `3 min 20 s`, `12 s`, or a dash."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours >= DAYS_FROM_HOURS:
        return f"{hours // 24:,} days {hours % 24:02d} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def clock_text(seconds: float) -> str:
    """`1:05:20` or `3:20`, for columns."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def number_text(value: float | None, digits: int = 4) -> str:
    """A number with fixed decimals, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def age_text(moment: datetime, now: datetime | None = None) -> str:
    """How long ago a moment was."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = max(0.0, ((now or datetime.now(UTC)) - aware).total_seconds())
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.0f} days ago"
    return f"{duration_text(seconds)} ago"
