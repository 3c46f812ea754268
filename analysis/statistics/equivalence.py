"""That two arms are alike: two one-sided tests, and the smallest difference they rule out.

Not finding a difference is no finding. What may be said instead is how large a difference would
have been noticed; invariant: it is said for new seeds where there are seeds to say it from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.statistics.components import fixed_half_width, general_half_width
from analysis.statistics.paired import Comparison, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Whether a difference is smaller than what would matter."""

    margin: float
    """Differences of accuracy below this do not matter to whoever asks."""
    equivalent: bool
    bound: float
    """The smallest margin that would have been shown."""
    scope: Scope
    alpha: float


def equivalence(
    comparison: Comparison, *, margin: float, alpha: float = 0.05
) -> Equivalence | None:
    """Two one-sided tests (TOST) that the difference lies within the margin, each at alpha.

    Returns:
        None where there is no interval (one item group).

    Raises:
        ValueError: If the margin is not positive.

    Source:
        Schuirmann (1987): equal to the 1 - 2 alpha interval lying within the margin.
    """
    if not margin > 0:
        raise ValueError(f"a margin of equivalence is above 0, got {margin}")
    bound = equivalence_bound(comparison, alpha=alpha)
    if bound is None:
        return None
    return Equivalence(
        margin=margin,
        equivalent=bound < margin,
        bound=bound,
        scope=Scope.GENERAL if comparison.seeds > 1 else Scope.FIXED,
        alpha=alpha,
    )


def equivalence_bound(comparison: Comparison, *, alpha: float = 0.05) -> float | None:
    """The difference, either way, that two one-sided tests rule out; none without an interval."""
    width = general_half_width if comparison.seeds > 1 else fixed_half_width
    half = float(width(comparison.parts, 2 * alpha))
    return abs(comparison.difference) + half if np.isfinite(half) else None
