"""Calibration: what is recovered of a known scale, and what is said of hopeless models."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from analysis.statistics.calibration import calibrate, fit_temperature
from analysis.statistics.components import Floats


def _margins(*, temperature: float, pairs: int = 4000, seed: int = 0) -> Floats:
    """Margins of a model that is calibrated at this temperature."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=pairs)
    better = rng.random(pairs) < expit(logits)  # whether the first response is labelled better
    return np.where(better, logits, -logits) * temperature


@pytest.mark.parametrize("temperature", [0.01, 1.0, 50.0])
def test_the_temperature_of_a_calibrated_model_is_found_whatever_its_unit(
    temperature: float,
) -> None:
    fitted = fit_temperature(_margins(temperature=temperature))

    found = calibrate(_margins(temperature=temperature, seed=1), temperature=fitted)

    assert fitted == pytest.approx(temperature, rel=0.1)
    assert found.ece < 0.03
    for one in found.bins:
        assert one.accuracy == pytest.approx(one.confidence, abs=0.08)


def test_a_model_that_is_too_sure_has_a_larger_error_and_loss() -> None:
    margins = _margins(temperature=1.0)

    honest, sure = calibrate(margins), calibrate(margins, temperature=0.2)

    assert sure.ece > 0.1 > honest.ece
    assert sure.nll > honest.nll
    assert sure.brier > honest.brier


def test_a_model_below_chance_gets_an_infinite_temperature_and_says_one_half() -> None:
    fitted = fit_temperature(-_margins(temperature=1.0))

    assert fitted == math.inf
    assert calibrate([-1.0, 1.0, 2.0], temperature=fitted).nll == pytest.approx(math.log(2))


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=60), st.floats(0.1, 10))
def test_figures_lie_where_they_must_and_no_pair_is_lost(
    margins: list[float], temperature: float
) -> None:
    found = calibrate(margins, temperature=temperature)

    assert 0 <= found.ece <= 1
    assert 0 <= found.brier <= 1
    assert found.nll >= 0
    assert sum(each.pairs for each in found.bins) == found.pairs == len(margins)


def test_nothing_to_calibrate_is_refused() -> None:
    with pytest.raises(ValueError, match="no margin is a number"):
        fit_temperature([math.nan])
    with pytest.raises(ValueError, match="above 0"):
        calibrate([1.0], temperature=0.0)
    assert fit_temperature([0.0, 0.0]) == math.inf
