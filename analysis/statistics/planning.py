"""How small an effect a comparison could have shown, and what it would take to settle it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtrit

from analysis.statistics.paired import Comparison

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
    comparison: Comparison, *, seeds: int | None = None, alpha: float = 0.05, power: float = 0.8
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
    parts = comparison.parts
    if parts.groups < 2:
        return None
    by_group = _reach(parts.group_degrees, alpha, power)
    if comparison.seeds < 2:
        return float(by_group * np.sqrt(parts.fixed))
    count = seeds or comparison.seeds
    seed_variance = float(parts.seed) * comparison.seeds / count
    by_seed = _reach(count - 1, alpha, power)
    planned = by_seed**2 * seed_variance + by_group**2 * float(parts.group)
    return float(np.sqrt(planned))


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
    for count in range(comparison.seeds + 1, MOST_SEEDS + 1):
        effect = minimum_detectable_effect(comparison, seeds=count, alpha=alpha)
        if effect is not None and effect <= size:
            more = count - comparison.seeds
            return Advice(
                kind="more seeds",
                more_seeds=more,
                text=f"About {more} more seed{'s' if more > 1 else ''} would settle a difference "
                "of this size (4 times in 5).",
            )
    return _more_items(comparison, size, alpha)


def _more_items(comparison: Comparison, size: float, alpha: float) -> Advice:
    parts = comparison.parts
    if parts.groups < 2:
        return Advice(kind="more items", text="All items are of one group: add other items.")
    reach = _reach(parts.group_degrees, alpha, 0.8)
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


def _reach(degrees: float, alpha: float, power: float) -> float:
    return float(-stdtrit(degrees, alpha / 2) + ndtri(power))
