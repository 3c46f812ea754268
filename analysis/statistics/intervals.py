"""Intervals for single accuracies: of one model, of an arm over its seeds.

Items of a group stand or fall together, so groups, not items, are what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from analysis.statistics.components import (
    Floats,
    fixed_half_width,
    general_half_width,
    group_totals,
    variance_parts,
)
from analysis.statistics.paired import Scope, complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """An accuracy and what it rests on."""

    value: float
    low: float
    high: float
    scope: Scope
    """`in general` covers new seeds; one model's accuracy covers new items only."""
    per_seed: tuple[float, ...]
    seeds: int
    items: int
    groups: int


def model_accuracy(outcomes: ArrayLike, groups: ArrayLike, *, alpha: float = 0.05) -> Accuracy:
    """Accuracy of one model, with Wilson's interval widened by the items' grouping.

    Wilson's interval, unlike a bootstrap, keeps its coverage near 0 and 1, where reward models on
    easy benchmarks are; the items count as many as their design effect leaves.

    Args:
        outcomes: `(N,)` -- 1 right, 0 wrong, 0.5 for a tie that counts half; NaN is missing.
        groups: `(N,)` -- group of each item.
        alpha: 1 - alpha is the level.

    Raises:
        ValueError: If nothing is left to estimate.

    Source:
        Korn & Graubard (1998) for the effective number of items.
    """
    values, codes, _ = complete(np.atleast_2d(np.asarray(outcomes, float)), groups)
    totals, sizes = group_totals(values, codes)
    parts = variance_parts(totals, sizes)
    value = float(parts.mean)
    effective = len(values[0]) / _design_effect(value, float(parts.fixed), sizes)
    quantile = _quantile(parts.group_degrees, alpha)
    low, high = _wilson(value, effective, quantile)
    return Accuracy(
        value=value,
        low=low,
        high=high,
        scope=Scope.FIXED,
        per_seed=(value,),
        seeds=1,
        items=values.shape[1],
        groups=len(sizes),
    )


def arm_accuracy(outcomes: ArrayLike, groups: ArrayLike, *, alpha: float = 0.05) -> Accuracy:
    """Accuracy of an arm over its seeds; with one seed, of that one model.

    Args:
        outcomes: `(S, N)` -- as `model_accuracy`, one row per seed.
        groups: `(N,)` -- group of each item.
        alpha: 1 - alpha is the level.

    Raises:
        ValueError: If nothing is left to estimate.
    """
    values, codes, _ = complete(outcomes, groups)
    if values.shape[0] == 1:
        return model_accuracy(values[0], codes, alpha=alpha)
    return arm_accuracies(values[np.newaxis], codes, alpha=alpha)[0]


def arm_accuracies(
    outcomes: Floats, codes: NDArray[np.int64], *, alpha: float = 0.05
) -> list[Accuracy]:
    """As `arm_accuracy`, for many arms at once that share items, none missing, and seeds' number.

    Args:
        outcomes: `(A, S, N)` -- finite, of two seeds or more.
        codes: `(N,)` -- group numbers from 0, none left out.
        alpha: 1 - alpha is the level.
    """
    totals, sizes = group_totals(outcomes, codes)
    parts = variance_parts(totals, sizes)
    half = general_half_width(parts, alpha)
    half = np.where(np.isfinite(half), half, fixed_half_width(parts, alpha))
    low, high = np.maximum(0.0, parts.mean - half), np.minimum(1.0, parts.mean + half)
    per_seed = outcomes.mean(axis=2)
    return [
        Accuracy(
            value=float(parts.mean[row]),
            low=float(low[row]),
            high=float(high[row]),
            scope=Scope.GENERAL,
            per_seed=tuple(per_seed[row].tolist()),
            seeds=outcomes.shape[1],
            items=outcomes.shape[2],
            groups=len(sizes),
        )
        for row in range(len(outcomes))
    ]


def _design_effect(value: float, variance: float, sizes: Floats) -> float:
    items = float(sizes.sum())
    binomial = value * (1 - value) / items
    if len(sizes) < 2 or binomial <= 0:
        # All right or all wrong: as if the items of a group were one item.
        return float((sizes**2).sum() / items)
    return max(1.0, variance / binomial)


def _quantile(degrees: float, alpha: float) -> float:
    return float(-stdtrit(max(degrees, 1.0), alpha / 2))


def _wilson(value: float, items: float, quantile: float) -> tuple[float, float]:
    square = quantile**2
    middle = (value + square / (2 * items)) / (1 + square / items)
    spread = np.sqrt(value * (1 - value) / items + square / (4 * items**2))
    half = quantile * spread / (1 + square / items)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
