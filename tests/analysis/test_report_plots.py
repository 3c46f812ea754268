"""Names in drawings stay apart and near what they name."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from analysis.report.plots import apart


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_names_keep_their_order_and_their_distance_and_stay_below_the_top(
    values: list[float],
) -> None:
    places = apart(values, gap=4.0, high=100.0)

    assert max(places) <= 100.0
    ordered = [places[index] for index in sorted(range(len(values)), key=values.__getitem__)]
    assert all(upper - lower >= 4.0 - 1e-9 for lower, upper in pairwise(ordered))


def test_a_name_with_room_stands_at_its_value() -> None:
    assert apart([50.0, 10.0], gap=4.0, high=100.0) == [50.0, 10.0]
