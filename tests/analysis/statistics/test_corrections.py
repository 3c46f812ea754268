"""Holm's correction within a family of tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.corrections import benjamini_hochberg, holm


def test_it_gives_the_textbook_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_it_equals_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(0).random(20) ** 3

    assert holm(p_values.tolist()) == pytest.approx(
        multitest.multipletests(p_values, method="holm")[1].tolist()
    )


def test_tests_that_could_not_be_made_do_not_count() -> None:
    assert holm([0.02, None, math.nan, 0.03]) == [pytest.approx(0.04), None, None, 0.04]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrected_values_keep_their_order_and_never_fall(p_values: list[float]) -> None:
    corrected = [value for value in holm(p_values) if value is not None]

    assert all(after >= before for before, after in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    assert [corrected[index] for index in order] == sorted(corrected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_values_equal_statsmodels_and_never_exceed_holms(p_values: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    found = benjamini_hochberg(p_values)

    expected = multitest.multipletests(p_values, method="fdr_bh")[1].tolist()
    assert found == pytest.approx(expected)
    for q_value, corrected in zip(found, holm(p_values), strict=True):
        assert q_value is not None
        assert corrected is not None
        assert q_value <= corrected + 1e-12


def test_q_values_pass_over_tests_that_could_not_be_made() -> None:
    assert benjamini_hochberg([0.02, None, math.nan, 0.03]) == [0.03, None, None, 0.03]
