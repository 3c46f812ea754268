"""The forms a user gets scores in: Parquet, JSON lines or CSV, as the ending of the file says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

ENDINGS = (".parquet", ".jsonl", ".csv")


class TableWriter(Protocol):
    """Takes tables one after the other."""

    def write(self, table: pa.Table) -> None:
        """Append a table."""
        ...


def read_scored(out: Path) -> pa.Table:
    """What `score_file` wrote, read back whole."""
    if out.suffix == ".parquet":
        return pq.read_table(out)
    if out.suffix == ".csv":
        return pa_csv.read_csv(out)
    return pa.Table.from_pylist([json.loads(line) for line in out.read_text().splitlines()])


@contextmanager
def table_writer(path: Path, ending: str, schema: pa.Schema) -> Iterator[TableWriter]:
    """Write tables of this schema to a file, in the form of one of `ENDINGS`."""
    if ending == ".parquet":
        with pq.ParquetWriter(path, schema, compression="zstd") as parquet:
            yield parquet
    elif ending == ".csv":
        with pa_csv.CSVWriter(path, schema) as lines:
            yield lines
    else:
        with path.open("w") as file:
            yield _JsonLines(file.write)


@dataclass(frozen=True, slots=True)
class _JsonLines:
    put: Callable[[str], object]

    def write(self, table: pa.Table) -> None:
        """One line per row."""
        for row in table.to_pylist():
            self.put(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
