"""Whether a margin says how sure a model is: reliability, ECE, NLL, and one temperature.

A margin m claims that the better response wins with probability 1 / (1 + exp(-m / T)). T is fitted
on validation items and judged on others; without it (T = 1) a model that never learnt the scale of
its scores would be called overconfident for its unit alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit

from analysis.statistics.components import Floats

BINS = 10
_WIDEST = 1e4
"""Temperatures are looked for within this factor of the margins' own scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Pairs of about the same confidence."""

    confidence: float
    """Mean claimed probability of the response the model prefers."""
    accuracy: float
    """How often it is the better one; ties count half."""
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How a model's confidence and its accuracy agree."""

    temperature: float
    nll: float
    """Mean negative log-likelihood of the labels, in nats; always saying 50 % has 0.693."""
    ece: float
    """Expected calibration error over bins of equally many pairs."""
    brier: float
    bins: tuple[ReliabilityBin, ...]
    pairs: int


def fit_temperature(margins: ArrayLike) -> float:
    """The temperature that makes the labels most likely; infinite for a model below chance.

    Args:
        margins: `(N)` -- score of the better response minus that of the other; NaN is left out.

    Raises:
        ValueError: If no margin is a number.

    Source:
        Guo et al. (2017), of which this is the case of two classes.
    """
    values = _known(margins)
    scale = float(np.abs(values).mean())
    if scale == 0 or values.mean() <= 0:
        # The likelihood rises for ever as T grows when the margins point the wrong way on average.
        return float("inf")
    found = minimize_scalar(
        lambda log_inverse: _nll(values * np.exp(log_inverse) / scale),
        bounds=(-np.log(_WIDEST), np.log(_WIDEST)),
        method="bounded",
    )
    return float(scale / np.exp(found.x))


def calibrate(margins: ArrayLike, *, temperature: float = 1.0, bins: int = BINS) -> Calibration:
    """Judge confidence at a temperature that was fitted on other items.

    Args:
        margins: As `fit_temperature`.
        temperature: Above 0; infinite says 50 % of every pair.
        bins: Bins of equally many pairs; fewer where there are not two pairs for each.

    Raises:
        ValueError: If no margin is a number, or the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"a temperature is above 0, got {temperature}")
    values = _known(margins)
    confidence = expit(np.abs(values) / temperature)
    right = np.where(values == 0, 0.5, values > 0)
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(values) // 2)))
    found = tuple(
        ReliabilityBin(
            confidence=float(confidence[part].mean()),
            accuracy=float(right[part].mean()),
            pairs=len(part),
        )
        for part in parts
    )
    gaps = sum(each.pairs * abs(each.confidence - each.accuracy) for each in found)
    return Calibration(
        temperature=temperature,
        nll=_nll(values / temperature),
        ece=float(gaps / len(values)),
        brier=float(((1 - expit(values / temperature)) ** 2).mean()),
        bins=found,
        pairs=len(values),
    )


def _nll(logits: Floats) -> float:
    return float(np.logaddexp(0.0, -logits).mean())


def _known(margins: ArrayLike) -> Floats:
    values = np.asarray(margins, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if not len(values):
        raise ValueError("no margin is a number, so there is nothing to calibrate")
    return values
