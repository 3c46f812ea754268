"""One foreign file as rows in the score table's form: read in parts, completed, converted.

Invariants: a value is converted only where nothing is lost; what cannot be is named by file, column
and value. A part holds about `PART_ROWS` rows or `PART_BYTES` of JSON lines, however many the file
has; a file's first part with a problem is its last.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
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

PART_ROWS = 250_000
"""Rows read at once: each part of a file costs every model in it a few milliseconds."""
PART_BYTES = 32 << 20
"""JSON lines parsed at once, as many whole lines as fit."""

LARGEST = 1e100
"""A score as large as this stands for none, as an infinite one does: its square, which scales and
spreads are made of, would soon be beyond any number."""

NAMING = pa.schema([pa.field("arm", pa.string()), pa.field("seed", pa.int64())])
"""Further columns that name the model of a row."""

_SEED = re.compile(r"^(?:(?P<name>.*?)[-_.])?seed[-_=]?(?P<seed>\d+)$")
_SAYS_TRUE = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def read_file(
    path: Path, name: str, *, problems: list[str], notes: dict[str, list[str]]
) -> Iterator[pd.DataFrame]:
    """A file's rows with every column of the score table, and `arm` and `seed` where it has them.

    Args:
        path: The file.
        name: What it is called in messages.
        problems: Gets what is wrong with it.
        notes: Gets what was assumed of it: for each note, the files it holds for.

    Yields:
        Its rows, part by part, up to the first part with a problem.
    """
    before = len(problems)
    rows = 0
    try:
        for table in _READERS[path.suffix.lower()](path):
            frame = _part(table, name, rows, problems, notes)
            if len(problems) > before:
                return
            rows += len(frame)
            if len(frame):
                yield frame
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        problems.append(f"{name}: cannot be read: {error}")
        return
    if not rows:
        _note(notes, "no rows", name)


def named_by(path: Path) -> tuple[str, int]:
    """Arm and seed that a path, relative to the folder of all files, tells."""
    names, seed = [], 0
    for part in (*path.parts[:-1], path.name[: -len(path.suffix)]):
        found = _SEED.match(part)
        if found is None:
            names.append(part)
            continue
        seed = int(found["seed"])
        if found["name"]:
            names.append(found["name"])
    return (names or [path.stem])[0], seed


def _part(
    table: pa.Table, name: str, above: int, problems: list[str], notes: dict[str, list[str]]
) -> pd.DataFrame:
    """A part's rows, of which there are `above` in parts before it; no rows with a problem."""
    lacking = [column for column in REQUIRED if column not in table.column_names]
    if lacking:
        problems.append(
            f"{name}: lacks column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}; it has "
            f"{', '.join(table.column_names) or 'none'}"
        )
        return pd.DataFrame()
    unknown = [
        column
        for column in table.column_names
        if column not in (*SCORE_SCHEMA.names, *NAMING.names)
    ]
    if unknown:
        _note(notes, f"ignored columns: {', '.join(unknown)}", name)
    frame = pd.DataFrame(
        {
            field.name: _column(table[field.name], field, name, above, problems)
            for field in (*SCORE_SCHEMA, *NAMING)
            if field.name in table.column_names
        }
    )
    if "score" in frame:
        frame["score"] = frame["score"].where(frame["score"].abs() < LARGEST)
    return _completed(frame, name, notes)


def _note(notes: dict[str, list[str]], note: str, name: str) -> None:
    """Once a file, however many parts it is told of."""
    files = notes.setdefault(note, [])
    if name not in files[-1:]:
        files.append(name)


def _completed(frame: pd.DataFrame, name: str, notes: dict[str, list[str]]) -> pd.DataFrame:
    absent = [column for column in SCORE_SCHEMA.names if column not in frame]
    if "group_id" in absent:
        _note(
            notes,
            "no column group_id: every item counts as a group of its own, so intervals are too "
            "narrow where items share an image or a prompt",
            name,
        )
        frame["group_id"] = frame["item_id"]
    others = [column for column in absent if column != "group_id"]
    if others:
        _note(notes, f"assumed for absent columns: {', '.join(others)}", name)
    for column in others:
        value = ASSUMED[column]
        frame[column] = np.nan if value is None else value
    return frame


def _column(
    column: pa.ChunkedArray, field: pa.Field, name: str, above: int, problems: list[str]
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
    may_be_empty = field.name in ("score", "margin")
    if found.null_count and not may_be_empty:
        row = found.to_pylist().index(None)
        problems.append(f"{name}: column {field.name} is empty, first in row {above + row + 1}")
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


def _read_parquet(path: Path) -> Iterator[pa.Table]:
    # Arrow's `pre_buffer` would hold the file until it is closed.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        if not file.metadata.num_rows:
            yield file.schema_arrow.empty_table()
        for batch in file.iter_batches(batch_size=PART_ROWS):
            yield pa.Table.from_batches([batch])


def _read_csv(path: Path) -> Iterator[pa.Table]:
    # Everything is read as text, so that a column has one type whatever its first rows hold, and
    # ids such as 007 stay as they are.
    with pa_csv.open_csv(path) as opened:
        names = opened.schema.names
    as_text = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
    )
    with pa_csv.open_csv(path, convert_options=as_text) as opened:
        waiting: list[pa.RecordBatch] = []
        rows = 0
        for batch in opened:
            waiting.append(batch)
            rows += batch.num_rows
            if rows >= PART_ROWS:
                yield _without_words_for_nothing(pa.Table.from_batches(waiting))
                waiting, rows = [], 0
        if waiting:
            yield _without_words_for_nothing(pa.Table.from_batches(waiting))


def _without_words_for_nothing(table: pa.Table) -> pa.Table:
    """Empty cells and such as `NA` are no value in columns that are not text."""
    nothing = pa.array(pa_csv.ConvertOptions().null_values)
    texts = {field.name for field in (*SCORE_SCHEMA, *NAMING) if pa.types.is_string(field.type)}
    for index, name in enumerate(table.column_names):
        if name not in texts:
            column = pc.utf8_trim_whitespace(table[name])
            column = pc.if_else(pc.is_in(column, nothing), pa.scalar(None, pa.string()), column)
            table = table.set_column(index, name, column)
    return table


def _read_lines(path: Path) -> Iterator[pa.Table]:
    with path.open("rb") as lines:
        while held := lines.readlines(PART_BYTES):
            data = b"".join(held)
            if data.strip():
                yield _parsed(data)


def _parsed(data: bytes) -> pa.Table:
    # JSON's NaN and Infinity, which Python writes, are not JSON to Arrow; pandas reads them.
    try:
        return pa_json.read_json(io.BytesIO(data))
    except pa.ArrowInvalid:
        try:
            return pa.Table.from_pandas(
                pd.read_json(io.BytesIO(data), lines=True, dtype=False), preserve_index=False
            )
        except ValueError as error:
            raise pa.ArrowInvalid(str(error)) from error


_READERS: Mapping[str, Callable[[Path], Iterator[pa.Table]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_lines,
}
