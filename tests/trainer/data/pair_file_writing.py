"""Preference files on disk for tests: real rows, real images."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Row = Mapping[str, Any]


def write_image(path: Path, shade: int, *, mode: str = "RGB") -> Path:
    """An eight by eight image that differs from every other shade's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (8, 8), (shade % 256, shade // 256, 90))
    image.convert(mode).save(path)
    return path


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """Rows in the format the file's ending says; in CSV, lists become JSON text."""
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    else:
        names = list(dict.fromkeys(name for row in rows for name in row))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            for row in rows:
                writer.writerow(
                    {
                        name: json.dumps(value) if isinstance(value, list) else value
                        for name, value in row.items()
                    }
                )
    return path


def text_row(number: int, **changes: object) -> dict[str, Any]:
    """A usable row without an image."""
    return {
        "prompt": f"Question {number}?",
        "chosen": f"Good answer {number}.",
        "rejected": f"Bad answer {number}.",
        **changes,
    }
