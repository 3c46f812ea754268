"""Calibration: what is recovered of a known scale, and what is said of hopeless models."""

from __future__ import annotations

import math
from random import Random

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


def test_never_being_wrong_on_few_pairs_does_not_make_a_model_sure_beyond_measure() -> None:
    rng = np.random.default_rng(0)
    validation, test = np.abs(rng.normal(2, 1, 60)), rng.normal(2, 1, 1000)
    assert (validation > 0).all()
    assert (test < 0).any()

    found = calibrate(test, temperature=fit_temperature(validation))

    assert found.nll < math.log(2)


@pytest.mark.parametrize("order", ["right ones first", "shuffled"])
def test_a_calibrated_judge_of_one_confidence_has_no_error_whatever_the_order(order: str) -> None:
    right = np.arange(1000) < 700
    if order == "shuffled":
        right = np.random.default_rng(0).permutation(right)

    found = calibrate(np.where(right, 1.0, -1.0) * math.log(0.7 / 0.3))

    assert found.ece == pytest.approx(0.0, abs=1e-9)
    assert [each.pairs for each in found.bins] == [1000]


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=80), st.randoms())
def test_the_order_of_pairs_changes_no_figure(margins: list[int], random: Random) -> None:
    shuffled = list(margins)
    random.shuffle(shuffled)

    one, other = calibrate(margins), calibrate(shuffled)

    assert one.ece == pytest.approx(other.ece)
    assert [each.pairs for each in one.bins] == [each.pairs for each in other.bins]


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
