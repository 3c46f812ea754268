"""Draws from ranges, mixtures and lists: distinct, repeatable, spread, inside the rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engine.designed import SOURCES, names, plan_of, problems_of


def test_a_random_design_draws_distinct_trainings_and_the_same_ones_again() -> None:
    axes = {
        "head.layers": [1, 2, 3],
        "head.activation": ["none", "tanh", "silu"],
        "strategy.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    }
    design = {"kind": "random", "points": 12, "seed": 3}

    plan = plan_of(design, axes=axes)

    assert len(plan.arms) == 13
    assert plan.arms[0].name == "baseline"
    assert names(plan) == names(plan_of(design, axes=axes))
    assert names(plan) != names(plan_of({**design, "seed": 4}, axes=axes))
    rates = [arm.config.strategy.learning_rate for arm in plan.arms]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert all(f"{rate:.4g}" == f"{rate:.12g}" for rate in rates)


def test_a_random_design_finds_every_point_of_a_small_space_that_meets_the_rules() -> None:
    axes = {"head.layers": [1, 2, 3, 4, 5], "scale": ["xs", "s"]}
    rules = ["head.layers <= 4 or scale == 's'"]

    plan = plan_of({"kind": "random", "points": 8}, axes=axes, constraints=rules)

    assert len(plan.arms) == 9
    assert not any(
        arm.config.head.layers == 5 and arm.config.backbone.scale == "xs" for arm in plan.arms
    )
    found = problems_of({"kind": "random", "points": 9}, axes=axes, constraints=rules)
    assert "only 8 distinct trainings that meet every rule were found, 9" in found[0]


def test_a_random_design_asks_for_no_more_points_than_there_are() -> None:
    found = problems_of({"kind": "random", "points": 7}, axes={"head.layers": [1, 2, 3]})

    assert found == [
        "design.points: 7 points are asked for, but these axes have only 3; "
        "lower points, or use design grid"
    ]


def test_a_random_design_draws_from_a_space_far_too_large_to_list() -> None:
    axes = {
        "strategy.learning_rate": {"low": 1e-6, "high": 1, "steps": 1000, "log": True},
        "strategy.warmup": {"low": 0, "high": 1, "steps": 1000},
        "strategy.weight_decay": {"low": 0, "high": 1, "steps": 1000},
        "head.dropout": {"low": 0, "high": 0.9, "steps": 1000},
    }

    assert len(plan_of({"kind": "random", "points": 5}, axes=axes).arms) == 6
    assert "has 1,000,000,000,000 points, at most 100,000" in problems_of("grid", axes=axes)[0]


def test_a_latin_hypercube_has_one_point_in_every_strip_of_every_range() -> None:
    axes = {
        "strategy.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
        "head.dropout": {"low": 0, "high": 0.5},
    }

    plan = plan_of({"kind": "latin_hypercube", "points": 10, "with_baseline": False}, axes=axes)

    rates = sorted(np.log10(arm.config.strategy.learning_rate) for arm in plan.arms)
    assert [int((rate + 5) / 4 * 10 - 1e-3) for rate in rates] == list(range(10))
    drops = sorted(arm.config.head.dropout for arm in plan.arms)
    assert [int(drop / 0.5 * 10 - 1e-3) for drop in drops] == list(range(10))


def test_mixtures_are_shares_that_sum_to_one() -> None:
    mixture = {"mixture": SOURCES, "least": 0.1}
    weights = {"data.weights": {"scenes": 2, "digits": 1, "text": 1}}

    plan = plan_of({"kind": "random", "points": 6}, set=weights, axes={"data_mix": mixture})

    assert len(plan.arms) == 7
    for arm in plan.arms[1:]:
        shares = arm.config.data.weights
        assert sum(shares.values()) == pytest.approx(1, abs=1e-12)
        assert min(shares.values()) >= 0.1 - 1e-9


def test_a_mixture_in_steps_is_a_simplex_lattice() -> None:
    weights = {"data.weights": {"scenes": 1, "digits": 1}}

    plan = plan_of("grid", set=weights, axes={"data.weights": {"mixture": SOURCES, "steps": 2}})

    assert names(plan) == [
        "baseline",
        "data.weights=scenes:1",
        "data.weights=digits:1",
        "data.weights=scenes:0.5+text:0.5",
        "data.weights=digits:0.5+text:0.5",
        "data.weights=text:1",
    ]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"strategy.learning_rate": {"low": 1e-5, "high": 1e-4}}, "lies outside its own axis"),
        ({"head.dropout": {"low": 0, "high": 0.5, "log": True}}, "starts above 0"),
        ({"head.dropout": {"low": 0.5, "high": 0.1}}, "expected low below high"),
        ({"head.layers": {"low": 1.5, "high": 3}}, "is a whole number, came the number 1.5"),
        ({"head.layers": {"low": 1, "high": 9}}, "a number of at most 5, came the number 9"),
        ({"head.activation": {"low": 1, "high": 9}}, "is no number, so it has no range"),
        ({"data_mix": {"mixture": ["scenes"]}}, "at least two parts"),
        ({"data_mix": {"mixture": ["scenes", "text"], "least": 0.5}}, "more than a whole"),
        ({"head.layers": {"mixture": ["a", "b"]}}, "is no table of numbers"),
        ({"data_mix": {"mixture": ["scenes", "photos"]}}, "unknown data source 'photos'"),
        ({"data_mix": {"mixture": ["digits", "text"]}}, "lies outside its own axis"),
    ],
)
def test_a_range_or_mixture_that_makes_no_sense_is_refused(
    axes: dict[str, Any], message: str
) -> None:
    found = problems_of({"kind": "random", "points": 2}, axes=axes)

    assert any(message in problem for problem in found), found


@pytest.mark.parametrize("kind", ["grid", "one_factor"])
def test_a_design_that_lists_levels_asks_a_range_for_steps(kind: str) -> None:
    axes = {"strategy.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}

    assert f"design {kind} lists levels, and a range has none" in problems_of(kind, axes=axes)[0]


def test_a_range_in_steps_is_listed_by_ratio() -> None:
    axes = {"strategy.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True, "steps": 3}}

    assert names(plan_of("grid", axes=axes)) == [
        "baseline",
        "strategy.learning_rate=0.0001",
        "strategy.learning_rate=0.01",
    ]
