"""A member's scores on a scale it shares with the other members, as measured on validation items.

Reward models choose their own unit and zero, so raw scores of two models cannot simply be added.
Every normalisation is strictly increasing: no member's ranking of responses is ever changed.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, model_validator

from infra.frozen import Frozen

Floats = NDArray[np.float64]

KNOTS = 257
"""Quantiles kept of a member's scores: a rank is then right to a quarter of a percent."""
_TAIL = 1e-3


class Unchanged(Frozen):
    """The score as the model gives it."""

    kind: Literal["unchanged"] = "unchanged"

    def apply(self, scores: Floats) -> Floats:
        """The scores themselves."""
        return scores


class ZScore(Frozen):
    """Distance from the validation mean in validation deviations."""

    kind: Literal["z_score"] = "z_score"
    mean: float
    std: PositiveFloat

    def apply(self, scores: Floats) -> Floats:
        """`(score - mean) / std`."""
        return (scores - self.mean) / self.std


class Rank(Frozen):
    """Share of validation responses that score lower, from 0 to 1."""

    kind: Literal["rank"] = "rank"
    knots: Annotated[tuple[float, ...], Field(min_length=2)]
    """Scores, rising."""
    shares: Annotated[tuple[float, ...], Field(min_length=2)]
    """Share of validation responses at or below each."""

    @model_validator(mode="after")
    def _both_rise(self) -> Rank:
        rising = all(np.diff(self.knots) > 0) and all(np.diff(self.shares) > 0)
        if len(self.knots) != len(self.shares) or not rising:
            raise ValueError("knots and shares must rise together, and be equally many")
        return self

    def apply(self, scores: Floats) -> Floats:
        """The rank; beyond what validation showed it goes on rising, very slowly."""
        low, high = self.knots[0], self.knots[-1]
        inside = np.interp(scores, self.knots, self.shares)
        # Two responses that are both beyond the last knot must not become a tie.
        beyond = (scores - np.clip(scores, low, high)) / (high - low)
        return np.asarray(inside + _TAIL * beyond, dtype=np.float64)


Normalization = Annotated[Unchanged | ZScore | Rank, Field(discriminator="kind")]


def z_score(scores: Floats) -> ZScore | Unchanged:
    """The z-normalisation of a member with these validation scores; none where all are alike."""
    deviation = float(scores.std())
    if deviation <= 1e-12 * max(1.0, float(np.abs(scores).max(initial=0.0))):
        return Unchanged()
    return ZScore(mean=float(scores.mean()), std=deviation)


def rank(scores: Floats) -> Rank | Unchanged:
    """The rank normalisation of a member with these validation scores; none likewise."""
    rising = np.sort(scores)
    knots = np.unique(rising[np.linspace(0, len(rising) - 1, KNOTS).round().astype(np.int64)])
    if isinstance(z_score(scores), Unchanged):
        return Unchanged()
    shares = np.searchsorted(rising, knots, side="right") / len(rising)
    return Rank(knots=tuple(knots.tolist()), shares=tuple(shares.tolist()))
