"""Permutation tests and the bootstrap: exact where small, right in size, silent where invalid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.paired import compare_differences
from analysis.statistics.resampling import group_bootstrap, group_permutation, seed_permutation


def test_few_groups_are_flipped_in_all_ways() -> None:
    differences = np.zeros((1, 20))
    differences[0, :5] = 1.0  # five wins in a row: 2 of 32 flips are as extreme

    found = group_permutation(differences, np.arange(20))

    assert found.p_value == pytest.approx(2 / 32)
    assert found.units == 5


def test_it_equals_the_permutation_test_of_scipy() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 1.0, size=10)

    expected = stats.permutation_test(
        (values, np.zeros(10)), lambda x, y: np.mean(x - y), permutation_type="samples"
    ).pvalue

    assert group_permutation(values[None], np.arange(10)).p_value == pytest.approx(expected)


def test_equal_models_are_told_apart_in_one_case_of_twenty() -> None:
    rng = np.random.default_rng(1)
    sweeps = 400
    p_values = []
    for number in range(sweeps):
        groups = np.repeat(np.arange(40), 3)
        shared = rng.integers(-1, 2, size=40)[groups]  # items of a group differ together
        p_values.append(
            group_permutation(shared[None].astype(float), groups, draws=999, seed=number).p_value
        )

    claimed = np.mean([p is not None and p <= 0.05 for p in p_values])
    assert claimed <= 0.05 + 3 * (0.05 * 0.95 / sweeps) ** 0.5
    assert claimed >= 0.02


def test_seeds_too_few_to_reach_five_percent_are_not_tested() -> None:
    few, enough = seed_permutation([0.1] * 5), seed_permutation([0.1] * 6)

    assert few.p_value is None
    assert "5 seeds cannot reach 5 %" in few.note
    assert enough.p_value == pytest.approx(2 / 64)


def test_the_bootstrap_agrees_with_the_interval_and_refuses_few_groups() -> None:
    rng = np.random.default_rng(2)
    differences = rng.integers(-1, 2, size=(3, 400)).astype(float)
    groups = np.repeat(np.arange(200), 2)

    found = group_bootstrap(differences, groups)
    fixed = compare_differences(differences, groups).fixed

    assert fixed is not None
    assert (found.low, found.high) == pytest.approx((fixed.low, fixed.high), abs=0.006)
    assert group_bootstrap(differences[:, :20], groups[:20]).low is None


def test_equal_outcomes_have_nothing_to_flip() -> None:
    assert group_permutation(np.zeros((2, 9)), np.arange(9)).p_value == 1.0
