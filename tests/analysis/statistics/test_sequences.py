"""Confidence sequences hold however often one looks, and decide in time to be of use."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.statistics.sequences import difference_sequence

LOOKS = range(2, 13)


@pytest.mark.parametrize("shape", ["normal", "uniform"])
def test_looking_after_every_seed_claims_no_more_than_was_agreed(shape: str) -> None:
    generator = np.random.default_rng(4)
    draws = generator.normal(size=(1500, 12))
    if shape == "uniform":
        draws = generator.uniform(-1, 1, size=(1500, 12))

    claimed = sum(
        any(difference_sequence(row[:look].tolist()).decided for look in LOOKS) for row in draws
    )

    assert claimed / 1500 <= 0.055


def test_a_difference_of_several_spreads_is_decided_within_six_seeds() -> None:
    generator = np.random.default_rng(5)
    draws = generator.normal(3.0, 1.0, size=(200, 6))

    decided = [difference_sequence(row.tolist()).low > 0 for row in draws]

    assert np.mean(decided) > 0.8


def test_the_interval_is_infinite_until_it_can_say_something() -> None:
    assert difference_sequence([0.5]).low == -math.inf
    assert difference_sequence([0.5, 0.6]).high == math.inf
    assert difference_sequence([0.5, 0.6]).mean == pytest.approx(0.55)
    assert math.isfinite(difference_sequence([0.5, 0.6, 0.7]).low)


def test_equal_differences_are_decided_as_soon_as_anything_can_be() -> None:
    assert not difference_sequence([0.2, 0.2]).decided
    assert difference_sequence([0.2, 0.2, 0.2]).decided
    assert not difference_sequence([0.0, 0.0, 0.0]).decided


def test_turning_the_differences_turns_the_interval() -> None:
    values = [0.1, 0.4, 0.2, 0.3]
    one, other = difference_sequence(values), difference_sequence([-value for value in values])

    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize("values", [[], [math.nan], [0.1, math.inf]])
def test_what_is_no_difference_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        difference_sequence(values)
