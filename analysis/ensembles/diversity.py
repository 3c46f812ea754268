"""How alike the members' errors are: an ensemble can only correct what its members do not share.

Letters: M members, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.statistics.components import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Means over all pairs of members."""

    q_statistic: float | None
    """Yule's Q: 1 when members err on the same pairs, 0 when independently; none when no pair of
    members has it."""
    error_correlation: float | None
    """Correlation of being wrong; none when a member is never or always wrong."""
    disagreement: float
    """Share of pairs on which exactly one of two members is right."""
    double_fault: float
    """Share of pairs on which both are wrong: what voting cannot correct."""
    all_wrong: float
    """Share of pairs on which every member is wrong."""

    @property
    def text(self) -> str:
        """All of it in one sentence without an end, undefined figures named so."""
        return (
            f"Errors of two members on validation: Q {_figure(self.q_statistic)}, correlation "
            f"{_figure(self.error_correlation)}, both wrong on {100 * self.double_fault:.1f}% of "
            f"pairs, one of them on {100 * self.disagreement:.1f}%; all members wrong on "
            f"{100 * self.all_wrong:.1f}%"
        )


def diversity(right: Floats) -> Diversity | None:
    """Diversity of members by who is right where; none for fewer than two members.

    Args:
        right: `(M, P)` -- 1 right, 0 wrong; a tie that counts half is half of each.

    Source:
        Kuncheva & Whitaker (2003), Machine Learning 51.
    """
    members, pairs = right.shape
    if members < 2 or not pairs:
        return None
    wrong = 1 - right
    upper = np.triu_indices(members, 1)
    both_right = (right @ right.T / pairs)[upper]
    both_wrong = (wrong @ wrong.T / pairs)[upper]
    one = (right @ wrong.T / pairs)[upper]
    other = (wrong @ right.T / pairs)[upper]
    odds, cross = both_right * both_wrong, one * other
    defined = odds + cross > 0
    share = right.mean(axis=1)
    deviation = np.sqrt(((right - share[:, None]) ** 2).mean(axis=1))
    spread = np.outer(deviation, deviation)[upper]
    covariance = both_wrong - np.outer(1 - share, 1 - share)[upper]
    varies = spread > 0
    return Diversity(
        q_statistic=float(((odds - cross)[defined] / (odds + cross)[defined]).mean())
        if defined.any()
        else None,
        error_correlation=float((covariance[varies] / spread[varies]).mean())
        if varies.any()
        else None,
        disagreement=float((one + other).mean()),
        double_fault=float(both_wrong.mean()),
        all_wrong=float((right == 0).all(axis=0).mean()),
    )


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
