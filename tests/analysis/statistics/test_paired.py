"""What must hold of any comparison, and what a comparison says when there is little to go by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from analysis.statistics.paired import Comparison, compare, compare_differences

Outcomes = NDArray[np.float64]


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[Outcomes, Outcomes, NDArray[np.int64]]:
    seeds, items = draw(st.integers(1, 4)), draw(st.integers(4, 30))
    right = arrays(np.float64, (seeds, items), elements=st.sampled_from([0.0, 1.0]))
    groups = draw(arrays(np.int64, items, elements=st.integers(0, 8)))
    return draw(right), draw(right), groups


def _figures(comparison: Comparison) -> list[float]:
    figures = [comparison.difference]
    for interval in (comparison.general, comparison.fixed):
        if interval is not None:
            figures += [interval.low, interval.high, interval.p_value]
    return figures


@given(outcomes(), st.integers(0, 2**32 - 1))
def test_the_order_of_items_and_of_seeds_does_not_matter(
    data: tuple[Outcomes, Outcomes, NDArray[np.int64]], seed: int
) -> None:
    arm, reference, groups = data
    rng = np.random.default_rng(seed)
    items, seeds = rng.permutation(arm.shape[1]), rng.permutation(arm.shape[0])

    shuffled = compare(
        arm[seeds][:, items], reference[seeds][:, items], np.array(list("abcdefghi"))[groups[items]]
    )

    assert _figures(shuffled) == pytest.approx(_figures(compare(arm, reference, groups)), abs=1e-9)


@given(outcomes())
def test_swapping_the_arms_turns_the_sign_and_nothing_else(
    data: tuple[Outcomes, Outcomes, NDArray[np.int64]],
) -> None:
    arm, reference, groups = data

    there, back = compare(arm, reference, groups), compare(reference, arm, groups)

    assert there.difference == pytest.approx(-back.difference)
    for one, other in ((there.general, back.general), (there.fixed, back.fixed)):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
            assert one.p_value == pytest.approx(other.p_value)


@given(outcomes())
def test_the_general_interval_is_never_narrower_and_both_hold_the_difference(
    data: tuple[Outcomes, Outcomes, NDArray[np.int64]],
) -> None:
    comparison = compare(*data)

    for interval in (comparison.general, comparison.fixed):
        if interval is not None:
            assert interval.low - 1e-12 <= comparison.difference <= interval.high + 1e-12
            assert 0 <= interval.p_value <= 1
    if comparison.general is not None and comparison.fixed is not None:
        assert comparison.general.p_value >= comparison.fixed.p_value - 1e-9
        assert comparison.general.low <= comparison.fixed.low + 1e-12


@given(outcomes())
def test_an_arm_compared_with_itself_is_never_told_apart(
    data: tuple[Outcomes, Outcomes, NDArray[np.int64]],
) -> None:
    arm, _, groups = data

    comparison = compare(arm, arm, groups)

    assert comparison.difference == comparison.discordant == 0
    for interval in (comparison.general, comparison.fixed):
        assert interval is None or (interval.p_value == 1 and interval.low < 0 < interval.high)


def test_one_seed_has_no_general_interval() -> None:
    rng = np.random.default_rng(0)

    comparison = compare(rng.integers(0, 2, (1, 50)), rng.integers(0, 2, (1, 50)), np.arange(50))

    assert comparison.general is None
    assert comparison.fixed is not None
    assert comparison.basis == "1 seed, 50 items in 50 groups; ties are wrong"


def test_one_group_has_no_interval_at_all() -> None:
    comparison = compare(np.ones((2, 9)), np.zeros((2, 9)), np.zeros(9))

    assert comparison.difference == 1
    assert comparison.general is None
    assert comparison.fixed is None


def test_items_without_an_outcome_are_dropped_and_counted() -> None:
    arm = np.ones((2, 12))
    arm[1, 3] = np.nan

    comparison = compare(arm, np.zeros((2, 12)), np.arange(12))

    assert comparison.items == 11
    assert comparison.dropped_items == 1
    assert comparison.basis == "2 seeds, 11 items in 11 groups, 1 item left out; ties are wrong"


def test_nothing_to_compare_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="no item has an outcome in every trial"):
        compare(np.full((2, 3), np.nan), np.zeros((2, 3)), np.arange(3))
    with pytest.raises(ValueError, match="no seed has outcomes"):
        compare_differences(np.zeros((0, 3)), np.arange(3))
    with pytest.raises(ValueError, match="must share seeds and items"):
        compare(np.zeros((2, 3)), np.zeros((2, 4)), np.arange(3))
    with pytest.raises(ValueError, match="one group per item"):
        compare(np.zeros((2, 3)), np.zeros((2, 3)), np.arange(4))


def test_five_wins_in_a_row_are_no_evidence_at_five_percent() -> None:
    arm = np.zeros((1, 200))
    arm[0, :5] = 1  # an exact sign test on 5 differing groups can reach 0.0625 at best

    fixed = compare(arm, np.zeros((1, 200)), np.arange(200)).fixed

    assert fixed is not None
    assert fixed.p_value == pytest.approx(0.0625)
    assert fixed.low <= 0


def test_agreeing_on_few_items_does_not_prove_equality() -> None:
    few = compare(np.ones((1, 10)), np.ones((1, 10)), np.arange(10)).fixed
    many = compare(np.ones((1, 1000)), np.ones((1, 1000)), np.arange(1000)).fixed

    assert few is not None
    assert many is not None
    assert few.high == pytest.approx(1 - 0.05 ** (1 / 10))  # 26 points
    assert many.high < 0.005
