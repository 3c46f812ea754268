"""Streams are named by their keys and stay the same for ever."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.randomness import Draws, key_digest, sequence_digest

keys = st.tuples(st.text(max_size=5), st.integers())


def test_a_stream_has_not_changed() -> None:
    draws = Draws("golden", 7)

    assert [draws.below(1000) for _ in range(5)] == [494, 276, 350, 986, 551]
    assert draws.shuffled("abcdef") == list("caefbd")


@given(keys, keys)
def test_other_keys_are_other_streams(one: tuple[str, int], other: tuple[str, int]) -> None:
    numbers = [[draws.below(2**40) for _ in range(2)] for draws in (Draws(*one), Draws(*other))]

    assert (numbers[0] == numbers[1]) == (one == other)
    assert (key_digest(*one) == key_digest(*other)) == (one == other)


@given(keys, st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=4))
def test_entries_that_come_one_by_one_are_named_as_all_at_once(
    key: tuple[str, int], entries: list[tuple[str, str]]
) -> None:
    assert sequence_digest(key, iter(entries)) == key_digest(*key, tuple(entries))


@given(keys, st.integers(-5, 5), st.integers(0, 6))
def test_numbers_stay_between_their_bounds(key: tuple[str, int], low: int, width: int) -> None:
    draws = Draws(*key)

    assert low <= draws.between(low, low + width) <= low + width
    assert sorted(draws.shuffled(range(width))) == list(range(width))


def test_weighted_choices_come_as_often_as_their_weights_and_never_at_zero() -> None:
    draws = Draws("weights")
    counts = Counter(draws.pick_weighted({"a": 1.0, "never": 0.0, "b": 3.0}) for _ in range(4000))

    assert set(counts) == {"a", "b"}
    assert counts["b"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_weights_without_a_positive_one_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Draws("weights").pick_weighted({"a": 0.0})
