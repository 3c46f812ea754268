"""Blocks of scores side by side: a row per trial, a column per pair that any trial was scored on.

Invariant: at no time are more scores in memory than one block's, besides the result itself.
Letters in shapes: T trials, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.layouts import Block, Layout
from analysis.outcomes import PAIR_KEY, Outcomes
from analysis.statistics.components import Floats
from analysis.statistics.paired import Convention


@dataclass(frozen=True, slots=True)
class Row:
    """Whose outcomes a row shall hold."""

    identity: str
    arm: str
    seed: int


Trials = Sequence[Row]
"""In the order of the rows; two arms that are the same training share an identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Margins of trials on the pairs of one benchmark."""

    benchmark: str
    trials: tuple[tuple[str, int], ...]
    """(arm, seed) of every row."""
    pairs: pd.DataFrame
    """As `Outcomes.pairs`."""
    values: Floats
    """`(T, P)` -- in each model's own units; NaN where it was not scored."""


def align_pairs(layouts: Sequence[Layout]) -> tuple[pd.DataFrame, dict[str, NDArray[np.intp]]]:
    """Pairs of any of the layouts, and by digest the columns that a layout's pairs get."""
    if not layouts:
        return pd.DataFrame(columns=[*PAIR_KEY, "group_id", "category", "source"]), {}
    if len(layouts) == 1:
        (layout,) = layouts
        return layout.pairs, {layout.digest: np.arange(len(layout.pairs))}
    key = list(PAIR_KEY)
    pairs = (
        pd.concat([layout.pairs for layout in layouts])
        .drop_duplicates(key)
        .sort_values(key, kind="stable")
        .reset_index(drop=True)
    )
    index = pd.MultiIndex.from_frame(pairs[key])
    return pairs, {
        layout.digest: index.get_indexer(pd.MultiIndex.from_frame(layout.pairs[key]))
        for layout in layouts
    }


def align_margins(
    blocks: Iterable[Block], layouts: Sequence[Layout], trials: Trials, *, benchmark: str
) -> Margins:
    """Margins of the trials, chosen minus rejected score."""
    pairs, columns = align_pairs(layouts)
    values = np.full((len(trials), len(pairs)), np.nan)
    for rows, places, margins in _placed(blocks, columns, trials):
        values[np.ix_(rows, places)] = margins
    return Margins(
        benchmark=benchmark,
        trials=tuple((row.arm, row.seed) for row in trials),
        pairs=pairs,
        values=values,
    )


def align_outcomes(
    blocks: Iterable[Block],
    layouts: Sequence[Layout],
    trials: Trials,
    *,
    benchmark: str,
    convention: Convention,
) -> Outcomes:
    """Outcomes of the trials that have a score; who has none that is a number is said."""
    pairs, columns = align_pairs(layouts)
    values = np.full((len(trials), len(pairs)), np.nan)
    tied = np.full(len(trials), np.nan)
    asked = np.zeros(len(trials), np.int64)
    for rows, places, margins in _placed(blocks, columns, trials):
        finite = np.isfinite(margins)
        equal = margins == 0
        right = (margins > 0).astype(np.float64)
        if convention == "ties count half":
            right[equal] = 0.5
        right[~finite] = np.nan
        values[np.ix_(rows, places)] = right
        tied[rows] = equal.sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
        asked[rows] = len(places)
    scored = np.isfinite(values).sum(axis=1)
    names = [(row.arm, row.seed) for row in trials]
    kept = np.flatnonzero(scored)
    return Outcomes(
        benchmark=benchmark,
        trials=tuple(names[row] for row in kept),
        pairs=pairs,
        values=values if len(kept) == len(names) else values[kept],
        convention=convention,
        tied=float(tied[kept].mean()) if len(kept) else 0.0,
        unscored={
            names[row]: int(asked[row] - scored[row]) for row in np.flatnonzero(asked > scored)
        },
    )


def _placed(
    blocks: Iterable[Block], columns: Mapping[str, NDArray[np.intp]], trials: Trials
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], Floats]]:
    rows_of: dict[str, list[int]] = {}
    for row, trial in enumerate(trials):
        rows_of.setdefault(trial.identity, []).append(row)
    for block in blocks:
        source = [i for i, name in enumerate(block.identities) for _ in rows_of.get(name, ())]
        rows = [row for name in block.identities for row in rows_of.get(name, ())]
        scores = block.scores if source == list(range(len(block.scores))) else block.scores[source]
        yield np.array(rows, np.intp), columns[block.layout.digest], block.layout.margins(scores)
