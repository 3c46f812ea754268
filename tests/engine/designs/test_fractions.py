"""Fractions of a grid are balanced as far as they say, and say what they mix up."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search_spaces.axes import Axis
from search_spaces.levels import Level
from sweep.engine.designs.fractions import smallest_fraction, strength_of
from tests.engine.designed import SOURCES, TRICKS, plan_of, problems_of


def axis_of(name: str, levels: int) -> Axis:
    return Axis(
        name=name, levels=tuple(Level(name=str(level), patch={}) for level in range(levels))
    )


@settings(max_examples=30, deadline=None)
@example(sizes=[3, 2, 2, 3, 2, 2], resolution=3)
@given(
    sizes=st.lists(st.sampled_from([2, 2, 2, 3, 4, 5]), min_size=1, max_size=6),
    resolution=st.integers(3, 5),
)
def test_a_fraction_is_balanced_as_far_as_it_says_and_no_larger_than_the_grid(
    sizes: list[int], resolution: int
) -> None:
    axes = [axis_of(f"a{number}", size) for number, size in enumerate(sizes)]

    fraction = smallest_fraction(axes, resolution=resolution, most_points=100_000)

    assert fraction is not None
    points = list(fraction.points())
    assert len({tuple(point.items()) for point in points}) == len(points) <= np.prod(sizes)
    strength = min(resolution - 1, len(sizes))
    for chosen in itertools.combinations(axes, strength):
        cells = Counter(tuple(point[axis.name] for axis in chosen) for point in points)
        assert len(cells) == np.prod([len(axis.levels) for axis in chosen])
        assert len(set(cells.values())) == 1


@pytest.mark.parametrize(
    ("sizes", "resolution", "points"),
    [
        ([2] * 7, 3, 8),
        ([2] * 8, 4, 16),
        ([2] * 5, 5, 16),
        ([3] * 4, 3, 9),
        ([3] * 4, 4, 27),
        ([2] * 11 + [3], 3, 36),
        ([5] * 6, 3, 25),
        ([2, 2, 2, 2, 3], 4, 24),
        ([3, 2, 2, 3, 2, 2], 3, 36),
    ],
)
def test_known_fractions_have_their_known_size(
    sizes: list[int], resolution: int, points: int
) -> None:
    axes = [axis_of(f"a{number}", size) for number, size in enumerate(sizes)]

    fraction = smallest_fraction(axes, resolution=resolution, most_points=100_000)

    assert fraction is not None
    assert len(fraction.columns) == points


def test_strength_is_counted_and_not_believed() -> None:
    half = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    skewed = np.array([[0, 0], [0, 1], [1, 0], [1, 0]])

    assert strength_of(half, [2, 2, 2], up_to=3) == 2
    assert strength_of(skewed, [2, 2], up_to=2) == 0


def test_a_half_fraction_of_three_says_what_it_cannot_tell_apart() -> None:
    fraction = smallest_fraction(
        [axis_of(name, 2) for name in "abc"], resolution=3, most_points=100
    )

    assert fraction is not None
    assert fraction.resolution == 3
    assert fraction.aliases() == ("a = b x c", "b = a x c", "c = a x b")


def test_resolution_four_keeps_single_axes_clear_and_mixes_pairs() -> None:
    fraction = smallest_fraction(
        [axis_of(name, 2) for name in "abcd"], resolution=4, most_points=100
    )

    assert fraction is not None
    assert set(fraction.aliases()) == {
        "a x b = c x d",
        "a x c = b x d",
        "a x d = b x c",
    }


def test_a_fraction_of_a_sweep_knows_its_resolution_and_aliases() -> None:
    axes = {
        "head.layers": [1, 2],
        "head.pooling": ["last", "mean"],
        "scale": ["xs", "s"],
        "tricks": {"members": TRICKS},
    }
    plan = plan_of({"kind": "fractional", "resolution": 4}, axes=axes)

    assert len(plan.arms) == 16
    assert plan.design.resolution == 4
    assert any("tricks:zero" in line for line in plan.design.aliases)
    assert not any(line.startswith("scale =") for line in plan.design.aliases)


def test_a_range_gives_a_fraction_its_two_ends() -> None:
    axes = {
        "strategy.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "scale": ["xs", "s"],
        "head.pooling": ["last", "mean"],
    }
    plan = plan_of(
        {"kind": "fractional", "resolution": 3}, set={"strategy.learning_rate": 1e-3}, axes=axes
    )

    assert len(plan.arms) == 4
    assert {arm.config.strategy.learning_rate for arm in plan.arms} == {1e-4, 1e-2}


def test_a_fraction_of_sources_needs_one_that_is_always_in() -> None:
    fraction = {"kind": "fractional", "resolution": 3}
    axes = {"data_mix": {"members": SOURCES}, "scale": ["xs", "s"]}

    assert "with all out would train on no data" in problems_of(fraction, axes=axes)[0]
    axes["data_mix"] = {"members": SOURCES, "always": ["scenes"]}
    assert len(plan_of(fraction, axes=axes).arms) == 4


def test_rules_and_conditions_that_break_the_balance_are_refused() -> None:
    axes = {"head.layers": [1, 2], "scale": ["xs", "s"], "head.pooling": ["last", "mean"]}
    fraction = {"kind": "fractional", "resolution": 3}

    by_rule = problems_of(fraction, axes=axes, exclude=[{"scale": "xs", "head.layers": 1}])
    by_condition = problems_of(
        fraction, axes={**axes, "head.activation": {"levels": ["none", "silu"]}}
    )

    assert "break a rule" in by_rule[0]
    assert by_condition[0].startswith("axes.head.activation: the axis does not matter at every")
