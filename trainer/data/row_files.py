"""Rows out of JSONL, JSON, Parquet and CSV files, as plain values.

A row that cannot be read by itself (a broken JSON line) comes out as none; a file that cannot be
read as a whole is a `DataError`. All but JSON are streamed: memory does not grow with the file.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import DataError, MissingError

FileFormat = Literal["jsonl", "json", "parquet", "csv"]

_ENDINGS: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
}
_LARGEST_CELL = 16 * 1024 * 1024
_LARGEST_JSON = 2 * 1024**3
_ROWS_AT_ONCE = 256  # rows with images in them are large
_READ_AT_ONCE = 2**20
"""Bytes of a Parquet column; without it a column of a row group is read whole."""


def format_of(path: Path) -> FileFormat | None:
    """What a file's ending says of its format, also before `.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return _ENDINGS.get(Path(name).suffix)


def read_rows(path: Path, file_format: FileFormat | None = None) -> Iterator[object]:
    """The rows of a file in order; none for a line that is not JSON.

    Args:
        path: The file; one that ends in `.gz` is unpacked on the way.
        file_format: How to read it; told by the ending when absent.

    Raises:
        MissingError: If there is no such file.
        DataError: If its format is unknown, or it cannot be read as that.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise MissingError(f"file of pairs {path} {what}")
    chosen = file_format or format_of(path)
    if chosen is None:
        raise DataError(
            f"cannot tell the format of {path} by its ending; expected "
            f"{', '.join(_ENDINGS)} (or these with .gz), or say format: jsonl, json, parquet or csv"
        )
    try:
        yield from _READERS[chosen](path)
    except (
        OSError, EOFError, ValueError, RecursionError, csv.Error, zlib.error, pa.ArrowException,
    ) as error:  # fmt: skip
        hint = "; save it as UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{path} cannot be read as {chosen}: {error}{hint}") from error


def _text(path: Path, newline: str | None = None) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline=newline)
    return path.open(encoding="utf-8-sig", newline=newline)


def _json_lines(path: Path) -> Iterator[object]:
    with _text(path) as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield None


def _json(path: Path) -> Iterator[object]:
    """A list of rows, or a mapping with one list of them (`{"data": [...]}`)."""
    if path.stat().st_size > _LARGEST_JSON:
        raise ValueError("a JSON file is read whole, and this one is over 2 GiB; write JSONL")
    with _text(path) as file:
        whole = json.load(file)
    if isinstance(whole, dict):
        lists = [value for value in whole.values() if isinstance(value, list)]
        if len(lists) != 1:
            raise ValueError("expected a list of rows, or a mapping with one list of them")
        whole = lists[0]
    if not isinstance(whole, list):
        raise ValueError("expected a list of rows")  # noqa: TRY004 -- it becomes a DataError
    yield from whole


def _parquet(path: Path) -> Iterator[object]:
    # Arrow's default, pre_buffer, holds all bytes of the file until it is closed.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_AT_ONCE) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            yield from batch.to_pylist()


def _csv(path: Path) -> Iterator[object]:
    csv.field_size_limit(_LARGEST_CELL)
    with _text(path, newline="") as lines:
        for row in csv.DictReader(lines):
            # A row longer than the header keeps its surplus under the name none.
            yield None if None in row else dict(row)


_READERS = {"jsonl": _json_lines, "json": _json, "parquet": _parquet, "csv": _csv}
