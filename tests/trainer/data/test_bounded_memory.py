"""A source ten times larger takes nowhere near ten times the memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEW, MANY = 1200, 12000
IMAGE_BYTES = 8000
ROWS_AT_ONCE = 200


def written(folder: Path, count: int) -> Path:
    """A file of published rows, with bytes for images that nobody decodes."""
    noise = np.random.default_rng(count)
    path = folder / f"{count}.parquet"
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    texts = [(name, pa.string()) for name in ("question", "chosen", "rejected")]
    with pq.ParquetWriter(path, pa.schema([*texts, ("image", image)])) as writer:
        for first in range(0, count, ROWS_AT_ONCE):
            rows = [
                {
                    "question": f"Question {number}?",
                    "chosen": f"Good answer {number}.",
                    "rejected": f"Bad answer {number}.",
                    "image": {"bytes": noise.bytes(IMAGE_BYTES), "path": None},
                }
                for number in range(first, first + ROWS_AT_ONCE)
            ]
            writer.write_table(pa.Table.from_pylist(rows, writer.schema))
    return path


def test_neither_building_an_index_nor_holding_its_images_takes_their_bytes(
    tmp_path: Path,
) -> None:
    few, many = written(tmp_path, FEW), written(tmp_path, MANY)

    ran = subprocess.run(
        [sys.executable, "-m", "tests.trainer.data.memory_of_rows", str(few), str(many)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "RMSWEEP_HOME": str(tmp_path / "home")},
    )

    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["images"] > FEW
    assert told["built"] < many.stat().st_size / 2, told
    assert told["held"] < many.stat().st_size / 2, told
