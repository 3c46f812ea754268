"""Score tables cut in two: what all models share on a benchmark, and each model's own scores.

Thousands of models scored on the same responses repeat the same items, groups and ranks. A layout
holds them once, in one order, under a digest of its content; a model then is one vector of scores.
Token counts, which follow a model's own tokenizer, are not part of a layout.

Letters in shapes: R rows (one per response and presentation), P pairs, T trials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from analysis.outcomes import PAIR_KEY
from analysis.statistics.components import Floats
from trainer.evaluation.metrics import pair_outcomes
from trainer.scores import SCORE_SCHEMA

MODEL_COLUMNS = ("score", "parsed", "prompt_tokens", "response_tokens")
"""Columns of a score table that are a model's own."""

LAYOUT_COLUMNS = tuple(name for name in SCORE_SCHEMA.names if name not in MODEL_COLUMNS)
LAYOUT_SCHEMA = pa.schema([SCORE_SCHEMA.field(name) for name in LAYOUT_COLUMNS])

ROW_KEY = ("item_id", "response", "order")


@dataclass(frozen=True)
class Layout:
    """The rows of a benchmark that models share, sorted by item, response and presentation."""

    digest: str
    """Of the rows; equal for equal rows, whatever file and order they came in."""
    rows: pa.Table
    """`LAYOUT_SCHEMA`, R rows."""

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """`(P)` -- one row per pair of unequal ranks, sorted by `PAIR_KEY`.

        Columns: `PAIR_KEY`, group_id, category, source, modality, label_weight, length_gap
        (characters of the chosen response minus those of the rejected), margin (the labels' own,
        NaN where they have none).
        """
        return self._pairing[0]

    @cached_property
    def repeated(self) -> list[str]:
        """Items of rows that name a response and presentation which has a row already."""
        frame = self.rows.select(list(ROW_KEY)).to_pandas()
        return [str(item) for item in frame.loc[frame.duplicated(), "item_id"]]

    def margins(self, scores: Floats) -> Floats:
        """Score of the chosen minus that of the rejected response, `(T, P)`.

        Args:
            scores: `(T, R)` -- scores in the order of `rows`; presentations are averaged.
        """
        _, left, right, starts, counts = self._pairing
        if len(starts) < scores.shape[1]:
            scores = np.add.reduceat(scores, starts, axis=1) / counts
        return np.asarray(scores[:, left] - scores[:, right], dtype=np.float64)

    @cached_property
    def _pairing(
        self,
    ) -> tuple[pd.DataFrame, NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Floats]:
        # The pairs are those of `trainer.evaluation.metrics.pair_outcomes`, asked with each
        # response's place as its score, so that a pair's rule stands in one place only.
        frame = self.rows.select(["item_id", "response"]).to_pandas()
        fresh = ~frame.duplicated(["item_id", "response"]).to_numpy()
        starts = np.flatnonzero(fresh)
        counts = np.diff(np.append(starts, len(frame))).astype(np.float64)
        place = (np.cumsum(fresh) - 1).astype(np.float64)
        outcome = pair_outcomes(self.table(place))
        places = pd.Series(
            place[fresh], index=pd.MultiIndex.from_frame(frame.loc[fresh, ["item_id", "response"]])
        )
        outcome = outcome.sort_values(list(PAIR_KEY), kind="stable").reset_index(drop=True)
        left, right = (
            places.reindex(pd.MultiIndex.from_frame(outcome[["item_id", side]]))
            .to_numpy()
            .astype(np.intp)
            for side in ("chosen", "rejected")
        )
        length = self.rows["response_characters"].to_numpy()[starts]
        margin = self.rows["margin"].to_numpy()[starts].astype(np.float64)
        kept = [*PAIR_KEY, "group_id", "category", "source", "modality", "label_weight"]
        pairs = outcome[kept].assign(length_gap=length[left] - length[right], margin=margin[left])
        return pairs, left, right, starts, counts

    def table(self, scores: Floats, parsed: NDArray[np.bool_] | None = None) -> pa.Table:
        """The rows as a score table again; token counts, which a layout drops, are zero."""
        rows = self.rows.num_rows
        own = {
            "score": pa.array(scores, pa.float64()),
            "parsed": pa.array(np.ones(rows, bool) if parsed is None else parsed),
            "prompt_tokens": pa.array(np.zeros(rows, np.int32)),
            "response_tokens": pa.array(np.zeros(rows, np.int32)),
        }
        columns = [
            own[name] if name in own else self.rows[name].combine_chunks()
            for name in SCORE_SCHEMA.names
        ]
        return pa.Table.from_arrays(columns, schema=SCORE_SCHEMA)


@dataclass(frozen=True, slots=True)
class Scored:
    """One model's own columns, in the order of a layout's rows."""

    layout: Layout
    scores: Floats
    """`(R,)`."""
    parsed: NDArray[np.bool_]
    """`(R,)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Scores of some models on one layout."""

    layout: Layout
    identities: tuple[str, ...]
    scores: Floats
    """`(T, R)`."""
    keys: tuple[str, ...] = ()
    """Where they are members of a compaction: each one's key."""


class Layouts:
    """Layouts seen so far; tables with equal rows get one and the same layout."""

    def __init__(self, known: Iterable[Layout] = ()) -> None:
        self._known = {layout.digest: layout for layout in known}
        self._seen: dict[str, tuple[Layout, NDArray[np.intp]]] = {}

    def cut(self, table: pa.Table) -> Scored:
        """Cut a table in the score table's schema into its layout and its scores.

        Rows that occur more than once stay; they are averaged as presentations are.
        """
        shared = table.select(list(LAYOUT_COLUMNS)).combine_chunks()
        as_given = _digest(shared)
        if as_given not in self._seen:
            # Most tables of a sweep come in one order, which is sorted and hashed once.
            frame = shared.select(list(ROW_KEY)).to_pandas()
            order = np.lexsort([frame[name].to_numpy() for name in reversed(ROW_KEY)])
            rows = shared.take(pa.array(order)).combine_chunks()
            digest = _digest(rows)
            layout = self._known.setdefault(digest, Layout(digest=digest, rows=rows))
            self._seen[as_given] = layout, order
        layout, order = self._seen[as_given]
        return Scored(
            layout=layout,
            scores=table["score"].to_numpy()[order],
            parsed=table["parsed"].to_numpy()[order],
        )


def _digest(rows: pa.Table) -> str:
    found = hashlib.sha256()
    for column in rows.itercolumns():
        sink = pa.BufferOutputStream()
        # IPC writes offsets from zero and cuts padding, so equal columns give equal bytes.
        with pa.ipc.new_stream(sink, pa.schema([("column", column.type)])) as writer:
            writer.write_table(pa.table([column], names=["column"]))
        found.update(sink.getvalue())
    return found.hexdigest()
