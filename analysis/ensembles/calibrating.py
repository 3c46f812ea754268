"""Temperature: the number that turns score differences into log-odds of being right.

Fitted on validation pairs by maximum likelihood with one pair's worth of doubt, so that a model
that is never wrong there, or never right, still gets a finite one.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from analysis.statistics.components import Floats

_WIDEST = 12.0  # natural log of the largest temperature, in units of the margins' own spread


def fit_temperature(margins: Floats) -> float:
    """The temperature with the least loss on pairs whose first response is the better one.

    Args:
        margins: `(P,)` -- score of the better minus score of the other response.

    Returns:
        T, so that `sigmoid(margin / T)` is the probability that a pair is right; very large where
        margins say nothing.

    Source:
        Guo et al. (2017); smoothed targets as Platt (1999).
    """
    unit = float(np.abs(margins).mean())
    if unit == 0 or not np.isfinite(unit):
        return 1.0
    scaled = margins / unit
    sure = (len(margins) + 1) / (len(margins) + 2)

    def loss(log_temperature: float) -> float:
        logits = scaled * np.exp(-log_temperature)
        return float(
            (sure * np.logaddexp(0, -logits) + (1 - sure) * np.logaddexp(0, logits)).mean()
        )

    found = minimize_scalar(
        loss, bounds=(-_WIDEST, _WIDEST), method="bounded", options={"xatol": 1e-3}
    )
    return unit * float(np.exp(found.x))


def pair_loss(margins: Floats) -> Floats:
    """Mean negative log-likelihood of being right, in nats; over the last axis."""
    return np.asarray(np.logaddexp(0.0, -margins).mean(axis=-1), dtype=np.float64)
