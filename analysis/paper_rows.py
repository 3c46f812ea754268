"""Published tables as reference data: what a paper printed, with where it is from.

Invariant: cells are kept as printed, digits included, since the digits say what can be checked.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import yaml

from infra.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One printed figure, in percent."""

    text: str

    @property
    def value(self) -> float:
        """As a number."""
        return float(self.text)

    @property
    def digits(self) -> int:
        """Decimals that were printed."""
        return len(self.text.partition(".")[2])

    @property
    def rounding(self) -> float:
        """How far the true value may lie from the printed one."""
        return 0.5 * 10.0**-self.digits + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """What is known of a column."""

    name: str
    items: Sequence[int] = ()
    """Numbers of items it may be a share of; none where unknown or too many to tell."""
    mean_of: Sequence[str] = ()
    weights: Sequence[int] = ()
    """Items of the columns it is a mean of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """One printed table."""

    key: str
    title: str
    rows: Mapping[str, Mapping[str, Cell]]
    """Cells by row and column, in their order."""
    shown: Sequence[str]
    """Columns that sum the others up."""
    axis: str | None = None
    levels: Mapping[str, str] = field(default_factory=dict)
    """Row of each level of our axis."""

    @property
    def columns(self) -> list[str]:
        """Column keys in their order."""
        return list(dict.fromkeys(column for row in self.rows.values() for column in row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A paper's tables."""

    title: str
    address: str
    date: str
    transcribed: str
    columns: Mapping[str, ColumnFacts]
    tables: Mapping[str, PaperTable]
    vlrb_maps: Mapping[str, Sequence[int]]
    nominally_the_same: Sequence[Mapping[str, Any]]
    same_columns: Mapping[str, Sequence[str]]
    known: Sequence[str]

    def column_name(self, key: str) -> str:
        """A column as it is headed."""
        return self.columns[key].name if key in self.columns else key


def load_paper(name: str = "basereward") -> Paper:
    """A paper's tables from `analysis/reference/<name>`.

    Raises:
        InputError: If there is no such paper.
    """
    folder = files("analysis") / "reference" / name
    if not (folder / "index.yaml").is_file():
        raise InputError(f"no reference tables {name!r}; there are basereward")
    index = yaml.safe_load((folder / "index.yaml").read_text())
    tables = {}
    for key, facts in index["tables"].items():
        lines = (folder / f"{key}.csv").read_text().splitlines()
        rows = {}
        for line in csv.DictReader(lines):
            label = line.pop("row")
            rows[label] = {column: Cell(text=text) for column, text in line.items() if text}
        tables[key] = PaperTable(
            key=key,
            title=facts["title"],
            rows=rows,
            shown=facts["shown"],
            axis=facts.get("axis"),
            levels=facts.get("levels", {}),
        )
    return Paper(
        title=index["source"]["title"],
        address=index["source"]["address"],
        date=str(index["source"]["date"]),
        transcribed=index["source"]["transcribed"],
        columns={key: ColumnFacts(**facts) for key, facts in index["columns"].items()},
        tables=tables,
        vlrb_maps=index["vlrb_maps"],
        nominally_the_same=index["nominally_the_same"],
        same_columns=index["same_columns"],
        known=index["known"],
    )
