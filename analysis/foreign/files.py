"""One foreign file as rows in the score table's form: read, completed, converted by column.

Invariant: a value is converted only where nothing is lost; what cannot be is named by file, column
and value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from trainer.scores import SCORE_SCHEMA

ENDINGS = (".parquet", ".csv", ".jsonl")

REQUIRED = ("benchmark", "split", "item_id", "response", "rank", "score")
"""Columns a foreign score table must have."""

ASSUMED: Mapping[str, Any] = {
    "category": "", "source": "", "modality": "", "order": 0, "parsed": True, "margin": None,
    "label_weight": 1.0, "prompt_tokens": 0, "response_tokens": 0, "response_characters": 0,
}  # fmt: skip
"""What stands in for absent columns; an absent `group_id` is the item's own."""

NAMING = pa.schema([pa.field("arm", pa.string()), pa.field("seed", pa.int64())])
"""Further columns that name the model of a row."""

_SAYS_TRUE = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def read_file(
    path: Path, name: str, *, problems: list[str], notes: dict[str, list[str]]
) -> pd.DataFrame | None:
    """A file's rows with every column of the score table, and `arm` and `seed` where it has them.

    Args:
        path: The file.
        name: What it is called in messages.
        problems: Gets what is wrong with it.
        notes: Gets what was assumed of it: for each note, the files it holds for.

    Returns:
        The rows; none if there is a problem, or no row.
    """
    before = len(problems)
    try:
        table = _READERS[path.suffix.lower()](path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        problems.append(f"{name}: cannot be read: {error}")
        return None
    lacking = [column for column in REQUIRED if column not in table.column_names]
    if lacking:
        problems.append(
            f"{name}: lacks column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}; it has "
            f"{', '.join(table.column_names) or 'none'}"
        )
        return None
    unknown = [
        column
        for column in table.column_names
        if column not in (*SCORE_SCHEMA.names, *NAMING.names)
    ]
    if unknown:
        notes.setdefault(f"ignored columns: {', '.join(unknown)}", []).append(name)
    frame = pd.DataFrame(
        {
            field.name: _column(table[field.name], field, name, problems)
            for field in (*SCORE_SCHEMA, *NAMING)
            if field.name in table.column_names
        }
    )
    if len(problems) > before:
        return None
    if not len(frame):
        notes.setdefault("no rows", []).append(name)
        return None
    return _completed(frame, name, notes)


def _completed(frame: pd.DataFrame, name: str, notes: dict[str, list[str]]) -> pd.DataFrame:
    absent = [column for column in SCORE_SCHEMA.names if column not in frame]
    if "group_id" in absent:
        notes.setdefault(
            "no column group_id: every item counts as a group of its own, so intervals are too "
            "narrow where items share an image or a prompt",
            [],
        ).append(name)
        frame["group_id"] = frame["item_id"]
    others = [column for column in absent if column != "group_id"]
    if others:
        notes.setdefault(f"assumed for absent columns: {', '.join(others)}", []).append(name)
    for column in others:
        value = ASSUMED[column]
        frame[column] = np.nan if value is None else value
    return frame


def _column(
    column: pa.ChunkedArray, field: pa.Field, name: str, problems: list[str]
) -> pd.Series[Any]:
    """A column as its type, without what pandas would make of missing values."""
    try:
        found = _converted(column, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        problems.append(
            f"{name}: column {field.name} holds {column.type}, which cannot become "
            f"{field.type}: {str(error).splitlines()[0]}"
        )
        return pd.Series([], dtype=object)
    empty = found.null_count
    may_be_empty = field.name in ("score", "margin")
    if empty and not may_be_empty:
        row = found.to_pylist().index(None)
        problems.append(
            f"{name}: column {field.name} is empty in {empty} rows, such as row {row + 1}"
        )
        return pd.Series([], dtype=object)
    return pd.Series(found.to_pandas())


def _converted(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type == kind:
        return column
    if pa.types.is_nested(column.type):
        raise ValueError("it is nested")
    if pa.types.is_string(kind) and pa.types.is_floating(column.type):
        column = pc.cast(column, pa.int64())  # ids that were read as 1.0, 2.0; 1.5 is refused
    if pa.types.is_boolean(kind) and not pa.types.is_boolean(column.type):
        words = [None if word is None else str(word).strip().lower() for word in column.to_pylist()]
        odd = next((word for word in words if word is not None and word not in _SAYS_TRUE), None)
        if odd is not None:
            raise ValueError(f"{odd!r} is neither true nor false")
        return pa.chunked_array([[None if word is None else _SAYS_TRUE[word] for word in words]])
    if pa.types.is_integer(kind) and pa.types.is_string(column.type):
        column = pc.cast(column, pa.float64())
    return pc.cast(column, kind)


def _read_csv(path: Path) -> pa.Table:
    # Ids such as 007 are text, whatever they look like.
    texts = {field.name: field.type for field in SCORE_SCHEMA if pa.types.is_string(field.type)}
    return pa_csv.read_csv(
        path,
        convert_options=pa_csv.ConvertOptions(
            column_types=texts | {"arm": pa.string()},
            strings_can_be_null=False,
        ),
    )


def _read_lines(path: Path) -> pa.Table:
    if not path.read_bytes().strip():
        return pa.table({})
    # JSON's NaN and Infinity, which Python writes, are not JSON to Arrow; pandas reads them.
    try:
        return pa_json.read_json(path)
    except pa.ArrowInvalid:
        try:
            return pa.Table.from_pandas(
                pd.read_json(path, lines=True, dtype=False), preserve_index=False
            )
        except ValueError as error:
            raise pa.ArrowInvalid(str(error)) from error


_READERS: Mapping[str, Callable[[Path], pa.Table]] = {
    ".parquet": pq.read_table,
    ".csv": _read_csv,
    ".jsonl": _read_lines,
}
