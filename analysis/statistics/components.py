"""Where the noise of a mean over seeds and items comes from: seeds, item groups, both together.

Invariant: an interval for new seeds and new items is never narrower than the one for the trained
models as they are. Letters in shapes: S seeds, G groups, N items, `...` any leading axes.

Source: the variance parts are those of a two-way crossed layout (Searle, Casella & McCulloch,
1992); unequal groups are weighed by size, with the degrees of freedom of Bell & McCaffrey (2002)
under strong within-group dependence; the half-width is Banerjee's (1961), whose coverage is at
least nominal for any ratio of the parts. The more usual Satterthwaite interval is not used: where
seed and item noise are alike it claims too often, since a chance agreement of two or three seeds
shrinks the variance and raises its degrees of freedom at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A mean and the parts of its variance; arrays share the leading axes of the input."""

    mean: Floats
    """`(...)` -- over seeds and items, every item weighing the same."""
    seed: Floats
    """`(...)` -- variance of the mean that new seeds would show; NaN with one seed."""
    group: Floats
    """`(...)` -- variance that new item groups would show beyond what `seed` already holds."""
    fixed: Floats
    """`(...)` -- variance that new item groups would show for these very models."""
    seed_degrees: int
    """S - 1."""
    group_degrees: float
    """G - 1 when groups are equal, less when a few hold most of the items."""
    active_groups: NDArray[np.int64]
    """`(...)` -- groups whose own mean over seeds is not zero."""
    groups: int

    def row(self, number: int) -> Parts:
        """The parts of one row of the leading axis."""
        return replace(
            self,
            mean=self.mean[number],
            seed=self.seed[number],
            group=self.group[number],
            fixed=self.fixed[number],
            active_groups=self.active_groups[number],
        )


def group_totals(values: Floats, groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Sums per group, `(..., G)`, and group sizes, `(G,)`.

    Args:
        values: `(..., N)` -- one value per item.
        groups: `(N,)` -- group numbers from 0, none left out.
    """
    sizes = np.bincount(groups).astype(np.float64)
    order = np.argsort(groups, kind="stable")
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
    return np.add.reduceat(values[..., order], starts, axis=-1), sizes


def variance_parts(totals: Floats, sizes: Floats) -> Parts:
    """Split the variance of a mean into what seeds and what item groups contribute.

    Args:
        totals: `(..., S, G)` -- sums of the values per seed and group.
        sizes: `(G,)` -- items per group.
    """
    seeds, count = totals.shape[-2:]
    weights = sizes / sizes.sum()
    seed_means = totals.sum(axis=-1) / sizes.sum()
    mean = seed_means.mean(axis=-1)
    cells = totals / sizes.sum() - weights * mean[..., None, None]
    by_group = cells.mean(axis=-2)
    correction, degrees = _small_sample(weights)
    fixed = correction * (by_group**2).sum(axis=-1)
    seed_shift = seed_means - mean[..., None]
    if seeds > 1:
        # Means are counted in items: two seeds that agree to the item do so by chance, and with no
        # spread at all would be a proof at any level (0.5 % of equal pairs at a level of 0.25 %).
        one_item = sizes.sum() ** -2.0
        seed = np.maximum((seed_shift**2).sum(axis=-1) / (seeds - 1), one_item) / seeds
        rest = cells - by_group[..., None, :] - weights * seed_shift[..., None]
        crossed = correction * (rest**2).sum(axis=(-2, -1)) / (seeds - 1) / seeds
        group = np.maximum(fixed - crossed, 0.0)  # a difference of squares may fall below zero
    else:
        seed = np.full_like(fixed, np.nan)
        group = fixed
    active = (np.abs(totals.sum(axis=-2)) > 1e-12).sum(axis=-1)
    return Parts(
        mean=mean,
        seed=seed,
        group=group,
        fixed=fixed,
        seed_degrees=seeds - 1,
        group_degrees=degrees,
        active_groups=np.asarray(active, dtype=np.int64),
        groups=count,
    )


def fixed_half_width(parts: Parts, alpha: float | Floats) -> Floats:
    """Half the interval of the mean for these models on new items."""
    if parts.groups < 2:
        return np.full_like(parts.mean, np.inf)
    wide = _quantile(parts.group_degrees, alpha) * np.sqrt(parts.fixed)
    # Without any variance a t interval has no width; the chance that none of G groups shows what
    # a share `width` of all groups would show is (1 - width)^G.
    unseen = 1.0 - np.asarray(alpha) ** (1.0 / parts.groups)
    half = np.where(parts.fixed > 0, wide, unseen)
    # Where no test on so few differing groups could reach alpha, neither may the interval.
    reaches_zero = (_sign_floor(parts) > alpha) & (half < np.abs(parts.mean))
    return np.asarray(np.where(reaches_zero, np.abs(parts.mean), half), dtype=np.float64)


def general_half_width(parts: Parts, alpha: float | Floats) -> Floats:
    """Half the interval of the mean for new seeds and new items; infinite with one seed."""
    if parts.seed_degrees < 1 or parts.groups < 2:
        return np.full_like(parts.mean, np.inf)
    squares = (
        _quantile(parts.seed_degrees, alpha) ** 2 * parts.seed
        + _quantile(parts.group_degrees, alpha) ** 2 * parts.group
    )
    wide = np.maximum(np.sqrt(squares), fixed_half_width(parts, alpha))
    return np.asarray(wide, dtype=np.float64)


def fixed_p_value(parts: Parts) -> Floats:
    """P-value of a zero mean for these models on new items."""
    spread = np.sqrt(parts.fixed)
    usable = (spread > 0) & (parts.groups > 1)
    ratio = np.abs(parts.mean) / np.where(usable, spread, 1.0)
    p_value = np.where(usable, 2.0 * stdtr(parts.group_degrees, -ratio), 0.0)
    p_value = np.maximum(p_value, _sign_floor(parts))
    return np.asarray(np.where(parts.mean == 0, 1.0, p_value), dtype=np.float64)


def general_p_value(parts: Parts) -> Floats:
    """P-value of a zero mean for new seeds and items: the level at which the interval meets zero.

    NaN with one seed.
    """
    if parts.seed_degrees < 1:
        return np.full_like(parts.mean, np.nan)
    low = np.full_like(parts.mean, -40.0)
    high = np.zeros_like(parts.mean)
    for _ in range(60):  # the half-width falls with alpha, so bisect on log10(alpha)
        middle = (low + high) / 2
        inside = general_half_width(parts, 10.0**middle) >= np.abs(parts.mean)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    p_value = np.maximum(10.0**high, _sign_floor(parts))
    return np.asarray(np.where(parts.mean == 0, 1.0, p_value), dtype=np.float64)


def _sign_floor(parts: Parts) -> Floats:
    # No fewer than 2^(1 - k) of the sign flips of k groups that differ are as extreme as any data:
    # four groups that all point one way are no evidence at 5 %, whatever their t value.
    floor = np.minimum(1.0, 2.0 ** (1.0 - parts.active_groups))
    return np.asarray(floor, dtype=np.float64)


def _quantile(degrees: float, alpha: float | Floats) -> Floats:
    return np.asarray(-stdtrit(degrees, np.asarray(alpha) / 2.0), dtype=np.float64)


def _small_sample(weights: Floats) -> tuple[float, float]:
    """Bias correction and degrees of freedom of a sum of squared group contributions.

    For y with independent, equally variable group means and M = I - 1 w', the sum is y'M'DMy with
    D = diag(w^2); correction and degrees follow from its trace and the trace of its square.
    """
    if len(weights) < 2:
        return 1.0, 0.0
    m2, m3, m4, m5 = (float((weights**power).sum()) for power in (2, 3, 4, 5))
    trace = m2 - 2 * m3 + m2**2
    square = m2**4 + 2 * m4 * m2 - 4 * m2**2 * m3 + 2 * m3**2 + m4 * (1 + 2 * m2) - 4 * m5
    return m2 / trace, trace**2 / square
