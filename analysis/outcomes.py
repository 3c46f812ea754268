"""Who was right on which pair: outcomes of many trials, aligned by pair, for a stated purpose.

Invariant: `selection` (choosing arms, weights, normalisation) reads validation items only,
`reporting` reads test items only, and no item group is seen by both. A mixture is an error.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.statistics.components import Floats
from analysis.statistics.paired import Comparison, Convention, compare_many
from infra.errors import InputError

Purpose = Literal["selection", "reporting"]
SPLIT_OF: Mapping[Purpose, str] = {"selection": "validation", "reporting": "test"}

PAIR_KEY = ("item_id", "chosen", "rejected")
"""What makes a pair the same pair for every model."""


ArmPairs = tuple[tuple[str, str], ...]
"""(arm, reference arm): what a difference is averaged over."""

TOGETHER = 64
"""Contrasts, or arms, worked out at once: 64 of 3 seeds and 5,000 pairs are 8 MB."""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Outcomes of trials on the pairs of one benchmark."""

    benchmark: str
    trials: tuple[tuple[str, int], ...]
    """(arm, seed) of every row."""
    pairs: pd.DataFrame
    """One row per pair: group_id, category, source, in the order of the columns of `values`."""
    values: Floats
    """`(trials, pairs)` -- 1 right, 0 wrong, 0.5 a tie that counts half, NaN not scored."""
    convention: Convention
    tied: float = 0.0
    """Share of scored pairs whose two scores were equal."""
    unscored: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Pairs without a score that is a number, by trial, where there are some. A trial that has no
    other pairs is not among `trials`."""

    @property
    def arms(self) -> list[str]:
        """Arms that have outcomes, in the order of their trials."""
        return list(self.rows)

    @property
    def groups(self) -> NDArray[np.object_]:
        """`(pairs,)` -- group of every pair."""
        return self.pairs["group_id"].to_numpy(dtype=object)

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """`(pairs,)` -- group of every pair as a number from 0."""
        return np.asarray(pd.factorize(self.pairs["group_id"])[0], dtype=np.int64)

    @cached_property
    def rows(self) -> Mapping[str, Mapping[int, int]]:
        """Row of every trial, by arm and seed."""
        found: dict[str, dict[int, int]] = {}
        for row, (arm, seed) in enumerate(self.trials):
            found.setdefault(arm, {})[seed] = row
        return found

    @property
    def basis(self) -> str:
        """What figures of arms rest on, in words."""
        if not self.arms:
            return "No finished trial was scored on a test benchmark."
        groups = self.pairs["group_id"].nunique()
        counts = sorted({len(rows) for rows in self.rows.values()})
        seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        return (
            f"On {len(self.pairs):,} pairs of {self.benchmark} in {groups:,} groups, {seeds} "
            f"seed{'' if counts == [1] else 's'} per arm; {self.convention}."
        )

    def seeds(self, arm: str) -> list[int]:
        """Seeds of an arm that have outcomes."""
        return list(self.rows.get(arm, {}))

    def of(self, arm: str, seeds: Sequence[int] | None = None) -> Floats:
        """`(seeds, pairs)` -- an arm's outcomes, all seeds unless some are named."""
        rows = self.rows[arm]
        return self.values[[rows[seed] for seed in (rows if seeds is None else seeds)]]

    def only(self, arms: Sequence[str]) -> Outcomes:
        """The trials of some arms, on all pairs; an arm without outcomes is passed over."""
        rows = [row for row, (arm, _) in enumerate(self.trials) if arm in set(arms)]
        return replace(
            self, trials=tuple(self.trials[row] for row in rows), values=self.values[rows]
        )

    def where(self, mask: NDArray[np.bool_]) -> Outcomes:
        """The same trials on some of the pairs."""
        return Outcomes(
            benchmark=self.benchmark,
            trials=self.trials,
            pairs=self.pairs[mask].reset_index(drop=True),
            values=self.values[:, mask],
            convention=self.convention,
            tied=self.tied,
            unscored=self.unscored,
        )


def check_purpose(rows: pa.Table, benchmark: str, purpose: Purpose) -> None:
    """Refuse a score table, or a layout's rows, whose items the purpose may not see.

    Raises:
        InputError: Naming the split that is there and the one that may be read.
    """
    splits = sorted(pc.unique(rows["split"]).to_pylist())
    wanted = SPLIT_OF[purpose]
    if splits and splits != [wanted]:
        raise InputError(
            f"{purpose} may only use {wanted} items, but benchmark {benchmark!r} holds "
            f"{' and '.join(splits)} items; choose a benchmark with split {wanted}"
        )


def refuse_shared_groups(
    selection: Iterable[str],
    reporting: Iterable[str],
    *,
    names: tuple[str, str] = ("the validation benchmark", "the test benchmark"),
) -> None:
    """Refuse item groups that were both selected on and reported on.

    Args:
        selection: Groups that arms, weights or temperatures are chosen on.
        reporting: Groups that are reported on.
        names: What the two are called.

    Raises:
        InputError: With their number, some of their names, and what to do.
    """
    reported = set(reporting)
    shared = sorted(reported & set(selection))
    if not shared:
        return
    shown = ", ".join(group[:80] for group in shared[:3]) + (", ..." if shared[3:] else "")
    raise InputError(
        f"{len(shared):,} of {len(reported):,} item groups of {names[1]} ({shown}) are in "
        f"{names[0]} too, so a report on them would flatter what was selected on them; report on "
        "another test benchmark (--benchmark), or split by group (same image, same prompt) and "
        "score the trained models on the new items with rmsweep evaluate, which trains nothing"
    )


def contrast(outcomes: Outcomes, arm_pairs: ArmPairs, *, alpha: float = 0.05) -> Comparison | None:
    """`contrasts` of one contrast."""
    return contrasts(outcomes, [arm_pairs], alpha=alpha)[0]


def contrasts(
    outcomes: Outcomes, asked: Sequence[ArmPairs], *, alpha: float = 0.05
) -> list[Comparison | None]:
    """Mean differences over pairs of arms (arm, reference), on the seeds all arms of one share.

    Which pairs those are is `comparable`'s to say; `None` where no pair or no seed is left.
    Contrasts on the same items are worked out together, which is what makes thousands of arms a
    matter of seconds.
    """
    found: list[Comparison | None] = [None] * len(asked)
    alike: dict[tuple[int, int, bytes], list[tuple[int, Floats]]] = {}
    for index, arm_pairs in enumerate(asked):
        differences = _differences(outcomes, arm_pairs)
        if differences is None:
            continue
        values, known = differences
        kept = np.isfinite(values).all(axis=0)
        if not kept.any():
            continue
        key = (len(values), int((known & ~kept).sum()), np.packbits(kept).tobytes())
        waiting = alike.setdefault(key, [])
        waiting.append((index, values))
        if len(waiting) == TOGETHER:
            _compare_alike(outcomes, key, alike.pop(key), found, alpha)
    for key, waiting in alike.items():
        _compare_alike(outcomes, key, waiting, found, alpha)
    return found


def comparable(outcomes: Outcomes, arm_pairs: ArmPairs) -> tuple[ArmPairs, tuple[int, ...]]:
    """The pairs of arms a difference can rest on, and the seeds all of these share.

    A pair without a common seed is left out, and so are the fewest that leave the others two seeds
    to tell a recipe from its luck: a failed trial or two would cost all pairs their test.
    """
    shared = {
        (arm, reference): outcomes.rows[arm].keys() & outcomes.rows[reference].keys()
        for arm, reference in arm_pairs
        if arm in outcomes.rows and reference in outcomes.rows
    }
    kept = {pair: seeds for pair, seeds in shared.items() if seeds}
    if not kept:
        return (), ()
    enough = min(2, max(map(len, kept.values())))
    if len(set.intersection(*map(set, kept.values()))) < enough:
        held = Counter(
            some
            for seeds in kept.values()
            for some in itertools.combinations(sorted(seeds), enough)
        )
        most, _ = held.most_common(1)[0]
        kept = {pair: seeds for pair, seeds in kept.items() if set(most) <= seeds}
    return tuple(kept), tuple(sorted(set.intersection(*map(set, kept.values()))))


def _differences(
    outcomes: Outcomes, arm_pairs: ArmPairs
) -> tuple[Floats, NDArray[np.bool_]] | None:
    """`(S, P)` mean differences, and which pairs any of the arms was scored on."""
    usable, seeds = comparable(outcomes, arm_pairs)
    if not usable:
        return None
    names = sorted({name for pair in usable for name in pair})
    of = {name: outcomes.of(name, seeds) for name in names}
    # Pairs that none of these arms was scored on are another arm's business.
    known = np.any([np.isfinite(values).any(axis=0) for values in of.values()], axis=0)
    return np.mean([of[a] - of[b] for a, b in usable], axis=0), known


def _compare_alike(
    outcomes: Outcomes,
    key: tuple[int, int, bytes],
    waiting: Sequence[tuple[int, Floats]],
    found: list[Comparison | None],
    alpha: float,
) -> None:
    kept = np.unpackbits(np.frombuffer(key[2], np.uint8), count=len(outcomes.pairs)).astype(bool)
    codes = np.unique(outcomes.codes[kept], return_inverse=True)[1].astype(np.int64)
    differences = np.array([values for _, values in waiting])
    comparisons = compare_many(
        differences if kept.all() else differences[..., kept],
        codes,
        alpha=alpha,
        convention=outcomes.convention,
        dropped_items=key[1],
    )
    for (index, _), comparison in zip(waiting, comparisons, strict=True):
        found[index] = comparison
