"""Whether a margin says how sure a model is: reliability, ECE, NLL, and one temperature.

A margin m claims that the better response wins with probability 1 / (1 + exp(-m / T)). T is fitted
on validation items and judged on others; without it (T = 1) a model that never learnt the scale of
its scores would be called overconfident for its unit alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from analysis.statistics.components import Floats

BINS = 10
_WIDEST = 12.0
"""Natural log of the factor of the margins' own scale within which a temperature is looked for."""


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
    """Expected calibration error over bins of about equally many pairs."""
    brier: float
    bins: tuple[ReliabilityBin, ...]
    pairs: int


def fit_temperature(margins: ArrayLike) -> float:
    """The temperature that makes the labels most likely; infinite for a model below chance.

    One pair's worth of doubt is added, so that a model that is never wrong on few pairs is not
    called sure beyond measure: the first pair it gets wrong elsewhere would cost it dozens of nats.

    Args:
        margins: `(N)` -- score of the better response minus that of the other; NaN is left out.

    Raises:
        ValueError: If no margin is a number.

    Source:
        Guo et al. (2017), of which this is the case of two classes; smoothed targets as Platt
        (1999).
    """
    values = _known(margins)
    scale = float(np.abs(values).mean())
    if scale == 0 or values.mean() <= 0:
        # The likelihood rises for ever as T grows when the margins point the wrong way on average.
        return float("inf")
    logits = values / scale
    sure = (len(values) + 1) / (len(values) + 2)

    def loss(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        return sure * float(pair_loss(scaled)) + (1 - sure) * float(pair_loss(-scaled))

    found = minimize_scalar(
        loss, bounds=(-_WIDEST, _WIDEST), method="bounded", options={"xatol": 1e-3}
    )
    return scale * float(np.exp(found.x))


def calibrate(margins: ArrayLike, *, temperature: float = 1.0, bins: int = BINS) -> Calibration:
    """Judge confidence at a temperature that was fitted on other items.

    Args:
        margins: As `fit_temperature`.
        temperature: Above 0; infinite says 50 % of every pair.
        bins: Bins of about equally many pairs, those of one confidence together; fewer where
            there are not two pairs for each.

    Raises:
        ValueError: If no margin is a number, or the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"a temperature is above 0, got {temperature}")
    values = _known(margins)
    confidence = expit(np.abs(values) / temperature)
    right = np.where(values == 0, 0.5, values > 0)
    parts = _parts(confidence, max(1, min(bins, len(values) // 2)))
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
        nll=float(pair_loss(values / temperature)),
        ece=float(gaps / len(values)),
        brier=float(((1 - expit(values / temperature)) ** 2).mean()),
        bins=found,
        pairs=len(values),
    )


def pair_loss(margins: Floats) -> Floats:
    """Mean negative log-likelihood of being right, in nats; over the last axis."""
    return np.asarray(np.logaddexp(0.0, -margins).mean(axis=-1), dtype=np.float64)


def _parts(confidence: Floats, count: int) -> list[NDArray[np.intp]]:
    """Pairs in at most `count` parts by confidence, the least sure first.

    A judge may know two or three confidences only. Cut among equals, a part would hold whichever
    of them came first, and the error of a calibrated judge would follow the order of its items.
    """
    _, codes, sizes = np.unique(confidence, return_inverse=True, return_counts=True)
    middles = np.cumsum(sizes) - sizes / 2
    part_of = np.floor(count * middles / len(confidence)).astype(np.intp)[codes]
    return [np.flatnonzero(part_of == part) for part in np.unique(part_of)]


def _known(margins: ArrayLike) -> Floats:
    values = np.asarray(margins, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if not len(values):
        raise ValueError("no margin is a number, so there is nothing to calibrate")
    return values
