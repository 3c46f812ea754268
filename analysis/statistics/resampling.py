"""Tests and intervals by resampling, where they are valid: whole groups, or whole seeds.

They assume no distribution and check the formulas of `components`. What they cannot do is said:
flipping signs over S seeds cannot reach a p-value below 2 / 2^S, and a percentile interval over a
handful of groups or seeds is too narrow, so it is not given.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.components import Floats, group_totals
from analysis.statistics.paired import complete

EXACT = 12
"""Units up to which all sign flips are tried: 4096 of them."""

FEWEST_GROUPS = 30
"""Below this many groups a percentile interval covers noticeably less than it says."""

FEWEST_SEEDS = 6
"""With five seeds or fewer, flipping signs cannot reach 5 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """A resampled figure, or why there is none."""

    p_value: float | None = None
    low: float | None = None
    high: float | None = None
    units: int
    """Groups or seeds that were drawn or flipped."""
    note: str = ""


def group_permutation(
    differences: ArrayLike, groups: ArrayLike, *, draws: int = 9999, seed: int = 0
) -> Resampled:
    """Sign-flip test over item groups: do these trained models differ on new items?

    Exchanging two equal models within a group flips the sign of all its differences, in every
    seed alike. Exact up to `EXACT` groups that differ at all.

    Args:
        differences: `(S, N)` -- outcomes of the arm minus those of the reference.
        groups: `(N,)` -- group of each item.
        draws: Random flips beyond `EXACT` groups; the data themselves count as one more.
        seed: Of the flips.

    Raises:
        ValueError: If nothing is left to compare.
    """
    values, codes, _ = complete(differences, groups)
    totals, _ = group_totals(values.sum(axis=0), codes)
    return _sign_flips(totals[totals != 0], draws=draws, seed=seed)


def seed_permutation(per_seed: ArrayLike) -> Resampled:
    """Sign-flip test over seeds: does the recipe differ on these very items, with new seeds?

    Args:
        per_seed: `(S,)` -- difference of accuracies of each pair of trials of one seed.
    """
    values = np.asarray(per_seed, dtype=np.float64)
    if len(values) < FEWEST_SEEDS:
        return Resampled(
            units=len(values),
            note=f"{len(values)} seeds cannot reach 5 %; it takes {FEWEST_SEEDS}",
        )
    return _sign_flips(values, draws=9999, seed=0)


def group_bootstrap(
    differences: ArrayLike,
    groups: ArrayLike,
    *,
    alpha: float = 0.05,
    draws: int = 4000,
    seed: int = 0,
) -> Resampled:
    """Percentile interval of the mean difference for these models, whole groups drawn.

    Args:
        differences: `(S, N)` -- as `group_permutation`.
        groups: `(N,)` -- group of each item.
        alpha: 1 - alpha is the level.
        draws: Bootstrap draws.
        seed: Of the draws.

    Raises:
        ValueError: If nothing is left to compare.
    """
    values, codes, _ = complete(differences, groups)
    totals, sizes = group_totals(values.mean(axis=0), codes)
    count = len(sizes)
    if count < FEWEST_GROUPS:
        return Resampled(
            units=count, note=f"{count} groups are too few to draw from; it takes {FEWEST_GROUPS}"
        )
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    low, high = np.quantile((drawn @ totals) / (drawn @ sizes), (alpha / 2, 1 - alpha / 2))
    return Resampled(low=float(low), high=float(high), units=count)


def _sign_flips(values: Floats, *, draws: int, seed: int) -> Resampled:
    count = len(values)
    if count == 0:
        return Resampled(p_value=1.0, units=0, note="no unit differs")
    # Sums of flipped values, compared with room for rounding, so that equal sums count as equal.
    observed = abs(values.sum()) * (1 - 1e-12)
    if count <= EXACT:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=count)))
        return Resampled(p_value=float((np.abs(signs @ values) >= observed).mean()), units=count)
    generator = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, draws, 1000):
        flips = generator.integers(0, 2, (min(1000, draws - start), count)) * 2.0 - 1.0
        extreme += int((np.abs(flips @ values) >= observed).sum())
    return Resampled(p_value=(extreme + 1) / (draws + 1), units=count)
