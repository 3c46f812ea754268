"""Confidence sequences: intervals that hold at every look, so that one may stop when one likes.

A fixed-sample interval looked at after every new seed claims too much; these may be looked at any
number of times. They are for small numbers of paired differences with unknown spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EFFECT_VARIANCE = 9.0
"""Prior variance of the effect in standard deviations of a difference (of seeds): differences worth
racing for are a few times the spread between seeds. It decides at which sample size the sequence is
narrowest (about 4 to 6), never whether it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceInterval:
    """Where the mean difference lies, at every sample size at once."""

    mean: float
    low: float
    high: float
    alpha: float

    @property
    def decided(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def difference_sequence(
    differences: Sequence[float],
    *,
    alpha: float = 0.05,
    effect_variance: float = EFFECT_VARIANCE,
    least_spread: float = 0.0,
) -> SequenceInterval:
    """The confidence sequence of a mean of normal differences, after those seen so far.

    With probability 1 - alpha it covers the mean at all sample sizes together. It is infinite until
    there are enough to say anything: three or four.

    Args:
        differences: One per seed, in any order.
        alpha: 1 - alpha is the level.
        effect_variance: As `EFFECT_VARIANCE`.
        least_spread: A smaller standard deviation counts as this: what is counted in items has none
            below one item that means anything.

    Raises:
        ValueError: If there is no difference, or one is not finite.

    Source:
        Wang & Ramdas (2023), arXiv:2310.03722: Ville's inequality for the Bayes factor of the
        t-statistic under a normal prior on the effect and Haar's on the spread.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"expected one finite difference or more, came {list(differences)}")
    mean = float(values.mean())
    count = int(values.size)
    if count < 2:
        return SequenceInterval(mean=mean, low=-math.inf, high=math.inf, alpha=alpha)
    spread = max(float(values.std(ddof=1)), least_spread)
    half = _threshold(count, alpha, effect_variance) * spread / math.sqrt(count)
    if math.isnan(half):  # no spread and an infinite threshold
        half = math.inf
    return SequenceInterval(mean=mean, low=mean - half, high=mean + half, alpha=alpha)


def _threshold(count: int, alpha: float, effect_variance: float) -> float:
    """The t-statistic at which the Bayes factor reaches 1 / alpha; infinite where none does."""
    degrees = count - 1
    inflation = 1 + count * effect_variance
    ratio = (math.sqrt(inflation) / alpha) ** (2 / count)
    if ratio >= inflation:
        return math.inf
    return math.sqrt(degrees * (ratio - 1) / (1 - ratio / inflation))
