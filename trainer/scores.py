"""The score table: one row per scored response, the only source of every published metric.

No benchmark's convention (ties, grouping, macro or micro) is baked into it; metrics, ensembles and
tests are computed from these rows alone. Torch-free.
"""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.errors import InputError

SCORE_SCHEMA = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("group_id", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("response", pa.int32(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("order", pa.int32(), nullable=False),
        pa.field("parsed", pa.bool_(), nullable=False),
        pa.field("margin", pa.float64()),
        pa.field("label_weight", pa.float64(), nullable=False),
        pa.field("prompt_tokens", pa.int32(), nullable=False),
        pa.field("response_tokens", pa.int32(), nullable=False),
        pa.field("response_characters", pa.int32(), nullable=False),
    ]
)
"""Columns of a score table. `rank` 1 is best; `response` is the item's own response index;
`order` tells apart the presentations of a judge that sees both responses (0 = as given)."""


def score_table(rows: list[dict[str, Any]]) -> pa.Table:
    """A score table from rows.

    Raises:
        InputError: If a row lacks a column or holds another type.
    """
    try:
        return pa.Table.from_pylist(rows, schema=SCORE_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"score rows do not fit the score table: {error}") from error


def write_scores(table: pa.Table) -> bytes:
    """A score table as Parquet."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def read_scores(data: bytes) -> pa.Table:
    """A score table from Parquet.

    Raises:
        InputError: If it is none, or a column is missing or cannot be read as its type.
    """
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"not a score table, or a damaged one: {error}") from error
    missing = [name for name in SCORE_SCHEMA.names if name not in table.column_names]
    if missing:
        raise InputError(f"not a score table: it lacks {', '.join(missing)}")
    try:
        return table.select(SCORE_SCHEMA.names).cast(SCORE_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise InputError(f"not a score table: {error}") from error


def one_row_per_response(table: pa.Table) -> pa.Table:
    """The table with the presentations of a judge averaged; items and responses keep their order.

    Rows of an item adjoin in what comes back, however they were mixed before.
    """
    keys = ["benchmark", "item_id", "response"]
    kept = [name for name in SCORE_SCHEMA.names if name not in (*keys, "score", "parsed", "order")]
    groups = table.group_by(keys, use_threads=False).aggregate(
        [("score", "mean"), ("parsed", "all"), *[(name, "first") for name in kept]]
    )
    names = {"score_mean": "score", "parsed_all": "parsed"} | {f"{n}_first": n for n in kept}
    groups = groups.rename_columns([names.get(name, name) for name in groups.column_names])
    groups = groups.append_column("order", pa.array([0] * groups.num_rows, pa.int32()))
    # Groups come in an order of their own.
    first = pc.index_in(groups["item_id"], pc.unique(table["item_id"]))
    order = pc.sort_indices(
        groups.append_column("place", first),
        sort_keys=[("place", "ascending"), ("response", "ascending")],
    )
    return groups.take(order).select(SCORE_SCHEMA.names).cast(SCORE_SCHEMA)


def score_key(identity: str, benchmark: str, *, evaluation: str = "") -> str:
    """Object key of one trial's scores on one benchmark.

    Args:
        identity: The trial's.
        benchmark: Its name.
        evaluation: Identity of the evaluation, of one that was made after the training: other items
            under the same name, or other settings of scoring, then lie in another place. Absent,
            these are the scores the training itself ended with.
    """
    name = f"{benchmark}/{evaluation}" if evaluation else benchmark
    return f"trials/{identity}/scores/{name}.parquet"
