"""Rows out of JSONL, Parquet and CSV files, as plain values.

A row that cannot be read by itself (a broken JSON line) comes out as none; a file that cannot be
read as a whole is a `DataError`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import DataError, MissingError

FileFormat = Literal["jsonl", "parquet", "csv"]

_ENDINGS: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
}
_LARGEST_CELL = 16 * 1024 * 1024


def read_rows(path: Path, file_format: FileFormat | None = None) -> Iterator[object]:
    """The rows of a file in order; none for a line that is not JSON.

    Args:
        path: The file.
        file_format: How to read it; told by the ending when absent.

    Raises:
        MissingError: If there is no such file.
        DataError: If its format is unknown, or it cannot be read as that.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise MissingError(f"preference file {path} {what}")
    chosen = file_format or _ENDINGS.get(path.suffix.lower())
    if chosen is None:
        raise DataError(
            f"cannot tell the format of {path} by its ending; expected "
            f"{', '.join(_ENDINGS)}, or say format: jsonl, parquet or csv"
        )
    try:
        yield from _READERS[chosen](path)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as {chosen}: {error}") from error


def _json_lines(path: Path) -> Iterator[object]:
    with path.open(encoding="utf-8-sig") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield None


def _parquet(path: Path) -> Iterator[object]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def _csv(path: Path) -> Iterator[object]:
    csv.field_size_limit(_LARGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            # A row longer than the header keeps its surplus under the name none.
            yield None if None in row else dict(row)


_READERS = {"jsonl": _json_lines, "parquet": _parquet, "csv": _csv}
