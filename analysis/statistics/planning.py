"""How small an effect a comparison could have shown, and what it would take to settle it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from analysis.statistics.components import Floats
from analysis.statistics.paired import Comparison

POWER = 0.8
"""Share of sweeps in which what is said to be detectable is found."""

MOST_SEEDS = 64
"""Beyond this many seeds no advice to train more is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What would settle a comparison."""

    kind: Literal[
        "settled", "more seeds", "more items", "measure seed noise", "too small to matter"
    ]
    more_seeds: int | None = None
    """Seeds to add to those there are."""
    more_items: int | None = None
    """Test items to add to those there are, in groups like these."""
    text: str


def minimum_detectable_effect(
    comparison: Comparison, *, seeds: int | None = None, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """Smallest true difference found in `power` of such sweeps, in general where there are seeds.

    Args:
        comparison: Its spread over seeds and groups is taken as the truth.
        seeds: Plan for this many seeds instead of those there are.
        alpha: Two-sided level of the test.
        power: Share of sweeps that would find it.

    Returns:
        A difference of accuracies; `None` if the spread cannot be had (one group).
    """
    if comparison.parts.groups < 2:
        return None
    test = _Test.planned(comparison, seeds or comparison.seeds, alpha)
    if test.deviation == 0:
        return 0.0
    high = 4.0
    while test.power(high * test.deviation) < power and high < 1e12:
        high *= 2
    found = brentq(lambda size: test.power(size * test.deviation) - power, 0.0, high, xtol=1e-6)
    return float(found) * test.deviation


def power_of(
    comparison: Comparison, difference: float, *, seeds: int | None = None, alpha: float = 0.05
) -> float:
    """Share of such sweeps that would find a true difference, its spread taken as the truth.

    Args:
        comparison: As `minimum_detectable_effect`.
        difference: True difference of accuracies.
        seeds: Plan for this many seeds instead of those there are.
        alpha: Two-sided level of the test.
    """
    if comparison.parts.groups < 2:
        return 0.0
    return _Test.planned(comparison, seeds or comparison.seeds, alpha).power(abs(difference))


def advise(comparison: Comparison, *, settled: bool, alpha: float = 0.05) -> Advice:
    """How many more seeds or items would settle a difference as large as the one seen."""
    if settled:
        return Advice(kind="settled", text="Settled in general.")
    if comparison.seeds < 2:
        return Advice(
            kind="measure seed noise",
            more_seeds=2,
            text="One seed cannot tell a recipe from its luck: train at least 2 more seeds.",
        )
    size = abs(comparison.difference)
    if size < 1 / max(comparison.items, 1):
        return Advice(
            kind="too small to matter",
            text="The difference seen is below one item; no plausible number of seeds settles it.",
        )
    if power_of(comparison, size, seeds=MOST_SEEDS, alpha=alpha) < POWER:
        return _more_items(comparison, size, alpha)
    few, enough = comparison.seeds, MOST_SEEDS
    while enough - few > 1:  # power grows with seeds
        middle = (few + enough) // 2
        found = power_of(comparison, size, seeds=middle, alpha=alpha) >= POWER
        few, enough = (few, middle) if found else (middle, enough)
    more = enough - comparison.seeds
    return Advice(
        kind="more seeds",
        more_seeds=more,
        text=f"About {more} more seed{'s' if more > 1 else ''} would settle a difference "
        "of this size (4 times in 5).",
    )


def _more_items(comparison: Comparison, size: float, alpha: float) -> Advice:
    parts = comparison.parts
    if parts.groups < 2:
        return Advice(kind="more items", text="All items are of one group: add other items.")
    reach = float(-stdtrit(parts.group_degrees, alpha / 2) + ndtri(POWER))
    factor = reach**2 * float(parts.fixed) / size**2
    more = int(np.ceil(comparison.items * max(factor - 1, 0)))
    if factor > 100:
        return Advice(
            kind="too small to matter",
            text="A difference of this size is far below what these seeds and items can show.",
        )
    items = f" and about {more:,} more test items" if more else ""
    return Advice(
        kind="more items",
        more_items=more or None,
        text=f"Settling a difference as small as this ({100 * size:.1f} points) would take more "
        f"than {MOST_SEEDS} seeds{items}.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """The test of `components` with its variances known: how often it finds a difference."""

    deviation: float
    """Of the mean difference, over seeds and items."""
    critical: Floats
    """`(Q)` -- equally likely values the mean must exceed, as estimated variances vary."""

    @classmethod
    def planned(cls, comparison: Comparison, seeds: int, alpha: float) -> _Test:
        parts = comparison.parts
        group_square = _critical_square(parts.group_degrees, alpha, 8)
        if comparison.seeds < 2:
            group = float(parts.fixed)
            return cls(deviation=group**0.5, critical=np.sqrt(group * group_square))
        seed = float(parts.seed) * comparison.seeds / seeds
        group = float(parts.group)
        seed_square = _critical_square(seeds - 1, alpha, 32)
        critical = np.sqrt(seed * seed_square[:, None] + group * group_square).reshape(-1)
        return cls(deviation=(seed + group) ** 0.5, critical=critical)

    def power(self, difference: float) -> float:
        if self.deviation == 0:
            return float(difference > 0)
        above = ndtr((difference - self.critical) / self.deviation)
        below = ndtr((-difference - self.critical) / self.deviation)
        return float((above + below).sum()) / len(self.critical)  # np.mean takes twice as long


@lru_cache(maxsize=4096)
def _critical_square(degrees: float, alpha: float, nodes: int) -> Floats:
    """Squared t quantile times equally likely values of a variance estimate of true value 1."""
    middles = (np.arange(nodes) + 0.5) / nodes
    estimates = chdtri(degrees, 1 - middles) / degrees
    return np.asarray(stdtrit(degrees, alpha / 2) ** 2 * estimates, dtype=np.float64)
