"""An arm against its reference on the same items, seed by seed: the difference and its intervals.

A comparison has two scopes and never mixes them. `general` asks what new seeds and new items would
show; `fixed` asks what new items would show for these trained models, and says nothing about the
recipe: two equal recipes whose seeds differ much yield models that truly differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.components import (
    Floats,
    Parts,
    fixed_half_width,
    fixed_p_value,
    general_half_width,
    general_p_value,
    group_totals,
    variance_parts,
)

Convention = Literal["ties are wrong", "ties count half"]


class Scope(StrEnum):
    """To what a statement applies."""

    GENERAL = "in general"
    FIXED = "for these trained models only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval and the p-value of zero, for one scope."""

    scope: Scope
    low: float
    high: float
    p_value: float
    level: float = 0.95

    @property
    def half_width(self) -> float:
        """Half the distance between the ends."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A paired difference of accuracies, arm minus reference."""

    difference: float
    """Mean over seeds and items; an accuracy of 0.80 against 0.78 is 0.02."""
    general: Interval | None
    """Absent with one seed."""
    fixed: Interval | None
    """Absent with fewer than two item groups."""
    per_seed: tuple[float, ...]
    """The difference in each pair of trials."""
    parts: Parts
    seeds: int
    items: int
    groups: int
    discordant: float
    """Share of (seed, item) cells in which the two differ."""
    dropped_items: int
    """Items left out because an outcome was missing."""
    convention: Convention

    @property
    def basis(self) -> str:
        """What the figures rest on, in words."""
        dropped = f", {_count(self.dropped_items, 'item')} left out" if self.dropped_items else ""
        return (
            f"{_count(self.seeds, 'seed')}, {_count(self.items, 'item')} in "
            f"{_count(self.groups, 'group')}{dropped}; {self.convention}"
        )


def compare(
    arm: ArrayLike,
    reference: ArrayLike,
    groups: ArrayLike,
    *,
    alpha: float = 0.05,
    convention: Convention = "ties are wrong",
) -> Comparison:
    """Difference of two arms whose trials share seeds (rows) and items (columns).

    Args:
        arm: `(S, N)` -- outcomes, 1 right, 0 wrong, 0.5 where ties count half; NaN is missing.
        reference: `(S, N)` -- the same for the other arm, same seeds and items in the same order.
        groups: `(N,)` -- group of each item; items of a group are not independent.
        alpha: 1 - alpha is the level of the intervals.
        convention: How the outcomes treat ties; repeated in every statement.

    Raises:
        ValueError: If shapes do not fit, or no item has an outcome in every trial.
    """
    left, right = np.atleast_2d(np.asarray(arm, float)), np.atleast_2d(np.asarray(reference, float))
    if left.shape != right.shape:
        raise ValueError(
            f"arm and reference must share seeds and items, got {left.shape} and {right.shape}"
        )
    return compare_differences(left - right, groups, alpha=alpha, convention=convention)


def compare_differences(
    differences: ArrayLike,
    groups: ArrayLike,
    *,
    alpha: float = 0.05,
    convention: Convention = "ties are wrong",
) -> Comparison:
    """As `compare`, from the differences themselves, `(S, N)`.

    Raises:
        ValueError: As `compare`.
    """
    values, codes, dropped = complete(differences, groups)
    (comparison,) = compare_many(
        values[np.newaxis], codes, alpha=alpha, convention=convention, dropped_items=dropped
    )
    return comparison


def compare_many(
    differences: Floats,
    codes: NDArray[np.int64],
    *,
    alpha: float = 0.05,
    convention: Convention = "ties are wrong",
    dropped_items: int = 0,
) -> list[Comparison]:
    """As `compare_differences`, for many arms at once that share seeds and items, none missing.

    Args:
        differences: `(A, S, N)` -- finite.
        codes: `(N,)` -- group numbers from 0, none left out.
        alpha: 1 - alpha is the level of the intervals.
        convention: How the outcomes treat ties.
        dropped_items: Items that were left out before.
    """
    totals, sizes = group_totals(differences, codes)
    parts = variance_parts(totals, sizes)
    general = _intervals(parts, Scope.GENERAL, alpha)
    fixed = _intervals(parts, Scope.FIXED, alpha)
    per_seed = differences.mean(axis=2)
    discordant = (differences != 0).mean(axis=(1, 2))
    return [
        Comparison(
            difference=float(parts.mean[row]),
            general=general[row],
            fixed=fixed[row],
            per_seed=tuple(per_seed[row].tolist()),
            parts=parts.row(row),
            seeds=differences.shape[1],
            items=differences.shape[2],
            groups=len(sizes),
            discordant=float(discordant[row]),
            dropped_items=dropped_items,
            convention=convention,
        )
        for row in range(len(differences))
    ]


def complete(values: ArrayLike, groups: ArrayLike) -> tuple[Floats, NDArray[np.int64], int]:
    """Values of the items every seed has, their groups numbered from 0, and how many were dropped.

    Raises:
        ValueError: If shapes do not fit or nothing is left.
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    labels = np.asarray(groups)
    if table.ndim != 2 or labels.shape != (table.shape[1],):
        raise ValueError(
            f"values must be (seeds, items) with one group per item, got {table.shape} "
            f"and {labels.shape}"
        )
    if table.shape[0] == 0:
        raise ValueError("no seed has outcomes, so there is nothing to estimate")
    kept = np.isfinite(table).all(axis=0)
    if not kept.any():
        raise ValueError("no item has an outcome in every trial, so there is nothing to estimate")
    _, codes = np.unique(labels[kept], return_inverse=True)
    return table[:, kept], codes.astype(np.int64), int((~kept).sum())


def _intervals(parts: Parts, scope: Scope, alpha: float) -> list[Interval | None]:
    if scope is Scope.GENERAL:
        half, p_value = general_half_width(parts, alpha), general_p_value(parts)
    else:
        half, p_value = fixed_half_width(parts, alpha), fixed_p_value(parts)
    low, high = np.maximum(-1.0, parts.mean - half), np.minimum(1.0, parts.mean + half)
    return [
        Interval(
            scope=scope,
            low=float(low[row]),
            high=float(high[row]),
            p_value=float(p_value[row]),
            level=1 - alpha,
        )
        if np.isfinite(half[row])
        else None
        for row in range(len(half))
    ]


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")
