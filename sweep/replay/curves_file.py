"""`CurvesFile`: where recorded learning curves lie and which of their columns mean what.

Invariant: nothing is guessed. A column that is not there is named, with the nearest one that is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from infra.errors import InputError, MissingError, Problem, SpecError
from infra.findings import Finding, InvalidSettings, hint, validate
from infra.frozen import Frozen
from sweep.spec.files import read_document


class CurveColumns(Frozen):
    """Which columns mean what, by their names in the files."""

    configuration: str | list[str]
    """What names a configuration; of several columns, their combination."""
    step: str | None = None
    """How far the training is; absent when only ends were recorded."""
    seconds: str | None = None
    """Wall time since the training began; one second per step when absent."""
    metric: str
    """The objective at that step."""
    seed: str | None = None
    """Tells repetitions of a configuration; a single one when absent."""


class ConfigurationsFile(Frozen):
    """What the configurations are, if the curves' own file does not say."""

    file: str
    """CSV or JSON lines, also packed (`.gz`)."""
    key: str
    """Column that both files have."""


class CurvesFile(Frozen):
    """A YAML file that describes a table of curves."""

    curves: str
    """CSV or JSON lines, also packed (`.gz`); seen from this file's folder."""
    columns: CurveColumns
    configurations: ConfigurationsFile | None = None
    where: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Only rows with these values, by column."""
    axes: list[str] = Field(default_factory=list)
    """Columns that vary between configurations; all others that do when empty."""
    mode: Literal["max", "min"] = "max"
    """Whether more of the metric is better."""


def read_curves_file(path: str | Path) -> tuple[CurvesFile, pd.DataFrame]:
    """The description and the rows it describes, joined with the configurations.

    Raises:
        SpecError: With every wrong key, value and column.
        MissingError: If a file is not there.
    """
    where = Path(path).expanduser()
    if not where.is_file():
        raise MissingError(f"there is no file {where}; expected a YAML file that describes curves")
    document = read_document(where)
    try:
        described = validate(CurvesFile, document.data)
    except InvalidSettings as error:
        raise document.source.error(list(error.findings)) from error
    rows = _read(where.parent / described.curves)
    if described.configurations is not None:
        rows = _joined(rows, described.configurations, where)
    findings = _column_findings(described, list(rows.columns))
    if findings:
        raise document.source.error(findings)
    for column, value in described.where.items():
        rows = rows[rows[column].astype(str) == str(value)]
    if rows.empty:
        raise SpecError(str(where), [Problem("where", "no row of the curves is left")])
    return described, rows


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise MissingError(f"there is no file {path}, which the curves are to be read from")
    try:
        if ".jsonl" in path.suffixes or path.suffix == ".json":
            lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
            return pd.DataFrame([_flat(line) for line in lines])
        return pd.read_csv(path)
    except (ValueError, UnicodeDecodeError, OSError, EOFError) as error:
        raise InputError(f"{path} is no readable CSV or JSON-lines file: {error}") from error


def _joined(rows: pd.DataFrame, configurations: ConfigurationsFile, where: Path) -> pd.DataFrame:
    table = _read(where.parent / configurations.file)
    for name, columns in (("curves", rows.columns), (configurations.file, table.columns)):
        if configurations.key not in columns:
            message = f"{name} has no column {configurations.key!r}"
            near = hint(configurations.key, list(columns))
            raise SpecError(str(where), [Problem("configurations.key", f"{message}{near}")])
    shared = [name for name in table.columns if name in rows.columns and name != configurations.key]
    return rows.merge(table.drop(columns=shared), on=configurations.key, how="inner")


def _column_findings(described: CurvesFile, there: list[str]) -> list[Finding]:
    wanted: list[tuple[tuple[str | int, ...], str]] = []
    columns = described.columns
    names = columns.configuration
    for name in [names] if isinstance(names, str) else names:
        wanted.append((("columns", "configuration"), name))
    for role in ("step", "seconds", "metric", "seed"):
        name = getattr(columns, role)
        if name is not None:
            wanted.append((("columns", role), name))
    wanted += [(("where", name), name) for name in described.where]
    wanted += [(("axes", index), name) for index, name in enumerate(described.axes)]
    return [
        Finding(location, f"there is no column {name!r}{hint(name, there)}")
        for location, name in wanted
        if name not in there
    ]


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as dotted columns."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            found |= _flat(item, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = item
    return found
