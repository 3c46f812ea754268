"""Names in drawings stay apart and near what they name."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.report.pictures import PAPER
from analysis.report.plots import apart, curves_figure


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


def test_an_accuracy_is_drawn_on_an_even_scale_however_low_and_a_loss_by_its_powers() -> None:
    rows = [
        {"arm": arm, "seed": 0, "fraction": fraction, "metric": metric, "value": value}
        for arm, value in (("low", 0.1), ("high", 0.9))
        for metric in ("eval/validation/accuracy", "train/loss")
        for fraction in (0.5, 1.0)
    ]

    figure = curves_figure(
        pd.DataFrame(rows),
        monitored="eval/validation/accuracy",
        highlighted=["low", "high"],
        palette=PAPER,
    )

    assert figure is not None
    assert [axis.get_yscale() for axis in figure.axes] == ["linear", "log"]
