"""Designs from a sweep file to its arms: sets, fractions, draws, rules and sub-spaces."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import SpecError
from search_spaces.axes import Axis
from search_spaces.levels import Level
from sweep.engine.fractions import smallest_fraction, strength_of
from sweep.engine.plan import SweepPlan, make_plan
from sweep.spec.resolve import resolve
from sweep.spec.sweep_spec import SweepSpec
from tests.engine.known_digests import KnownDigests

TRICKS = {
    "length": {"strategy.length_normalization": True},
    "zero": {"strategy.zero_coefficient": 0.01},
    "smooth": {"strategy.label_smoothing": 0.1},
}
SOURCES = ["scenes", "digits", "text"]


def plan_of(design: dict[str, Any] | str, **fields: Any) -> SweepPlan:  # noqa: ANN401
    """The plan of a sweep with one seed."""
    wanted = {"kind": design} if isinstance(design, str) else design
    asked = {"name": "sweep", "design": wanted, "replicates": {"seeds": 1}, **fields}
    return make_plan(resolve(SweepSpec.model_validate(asked)), digests=KnownDigests())


def problems_of(design: dict[str, Any] | str, **fields: Any) -> list[str]:  # noqa: ANN401
    with pytest.raises(SpecError) as caught:
        plan_of(design, **fields)
    return [str(problem) for problem in caught.value.problems]


def names(plan: SweepPlan) -> list[str]:
    return [arm.name for arm in plan.arms]


def test_leave_one_out_compares_all_sources_with_all_but_each() -> None:
    plan = plan_of("leave_one_out", axes={"data_mix": {"members": SOURCES}})

    assert names(plan) == [
        "baseline",
        "data_mix=without-scenes",
        "data_mix=without-digits",
        "data_mix=without-text",
    ]
    assert [sorted(arm.config.data.weights) for arm in plan.arms] == [
        ["digits", "scenes", "text"],
        ["digits", "text"],
        ["scenes", "text"],
        ["digits", "scenes"],
    ]
    assert plan.arms[0].point == {"data_mix": "all"}
    assert len({arm.config.data.pairs for arm in plan.arms}) == 1


def test_add_one_in_starts_from_what_is_always_in() -> None:
    axes = {"data_mix": {"members": SOURCES, "always": ["scenes"]}}
    plan = plan_of("add_one_in", axes=axes, set={"data.weights": {"scenes": 3, "text": 2}})

    assert names(plan) == ["baseline", "data_mix=without-text", "data_mix=without-digits"]
    assert [dict(arm.config.data.weights) for arm in plan.arms] == [
        {"scenes": 3},
        {"scenes": 3, "digits": 1},
        {"scenes": 3, "text": 2},  # the baseline's own share, left out of it or not
    ]


def test_leaving_a_trick_out_brings_back_what_the_baseline_had() -> None:
    plan = plan_of(
        "leave_one_out",
        set={"strategy.label_smoothing": 0.05},
        axes={"tricks": {"members": TRICKS}},
    )

    strategies = {arm.name: arm.config.strategy for arm in plan.arms}
    assert strategies["baseline"].label_smoothing == 0.1
    assert strategies["tricks=without-smooth"].label_smoothing == 0.05
    assert strategies["tricks=without-smooth"].zero_coefficient == 0.01
    assert not strategies["tricks=without-length"].length_normalization


def test_a_set_may_stand_beside_other_axes_and_each_moves_alone() -> None:
    axes = {"tricks": {"members": TRICKS}, "head.layers": [1, 2, 3]}

    plan = plan_of("add_one_in", axes=axes)

    assert names(plan) == [
        "baseline",
        "tricks=length",
        "tricks=zero",
        "tricks=smooth",
        "head.layers=1",
        "head.layers=3",
    ]


def test_every_subset_is_a_level_of_a_grid() -> None:
    plan = plan_of("grid", axes={"tricks": {"members": TRICKS}})

    assert len(plan.arms) == 8
    assert {arm.point["tricks"] for arm in plan.arms} >= {"all", "none", "zero", "without-zero"}


@pytest.mark.parametrize(
    ("design", "axes", "message"),
    [
        ("leave_one_out", {"head.layers": [1, 2]}, "varies sets, and no axis is one"),
        ("add_one_in", {"data_mix": {"members": SOURCES}}, "would train on no data"),
        ("leave_one_out", {"data_mix": {"members": ["scenes"]}}, "at least two members, came 1"),
        (
            "leave_one_out",
            {"data_mix": {"members": ["scenes", "scenes"]}},
            "'scenes' stands here twice",
        ),
        (
            "leave_one_out",
            {"data_mix": {"members": SOURCES, "always": ["scense"]}},
            "'scense' is no member; did you mean 'scenes'?",
        ),
        ("leave_one_out", {"data_mix": {"members": ["scenes", "photos"]}}, "photos"),
        (
            "add_one_in",
            {"t": {"members": {"a": {"head.layers": 1}, "b": {"head.layers": 3}}}},
            "changes head.layers, and so does the member a",
        ),
        ("leave_one_out", {"mine": {"members": ["a", "b"]}}, "must be named patches"),
        (
            "grid",
            {"t": {"members": {f"m{n}": {"data.seed": n} for n in range(12)}}},
            "changes data.seed",
        ),
    ],
)
def test_a_set_that_cannot_be_varied_is_refused(
    design: str, axes: dict[str, Any], message: str
) -> None:
    found = problems_of(design, axes=axes)

    assert any(message in problem for problem in found), found


def test_a_set_of_too_many_members_is_refused_before_its_subsets_are_listed() -> None:
    members = [f"source{number}" for number in range(40)]
    sources = {name: {"kind": "scenes"} for name in members}

    found = problems_of(
        "grid", set={"data.sources": sources}, axes={"data_mix": {"members": members}}
    )

    assert "40 members have 1,099,511,627,776 subsets, at most 10 members" in found[0]


# Fractions


def axis_of(name: str, levels: int) -> Axis:
    return Axis(
        name=name, levels=tuple(Level(name=str(level), patch={}) for level in range(levels))
    )


@settings(max_examples=30, deadline=None)
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
    assert len(points) <= np.prod(sizes)
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


def test_rules_and_conditions_that_break_the_balance_are_refused() -> None:
    axes = {"head.layers": [1, 2], "scale": ["xs", "s"], "head.pooling": ["last", "mean"]}
    fraction = {"kind": "fractional", "resolution": 3}

    by_rule = problems_of(fraction, axes=axes, exclude=[{"scale": "xs", "head.layers": 1}])
    by_condition = problems_of(
        fraction, axes={**axes, "head.activation": {"levels": ["none", "silu"]}}
    )

    assert "break a rule" in by_rule[0]
    assert by_condition[0].startswith("axes.head.activation: the axis does not matter at every")


# Draws


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


# Rules and sub-spaces


def test_excluded_combinations_and_broken_constraints_are_no_arms() -> None:
    axes = {"head.layers": [1, 2, 3], "scale": ["xs", "s"], "head.pooling": ["last", "mean"]}

    plan = plan_of(
        "grid",
        axes=axes,
        exclude=[{"head.layers": [1, 3], "scale": "xs"}],
        constraints=["head.pooling == 'last' or head.layers < 3"],
    )

    assert len(plan.arms) == 12 - 4 - 1
    assert plan.design.left_out == 5


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"constraints": ["head.layers > 5"]}, "constraints[0]: the baseline itself breaks"),
        ({"exclude": [{"head.layers": 2}]}, "exclude[0]: the baseline itself breaks"),
        ({"constraints": ["head.layer > 1"]}, "unknown setting or axis 'head.layer'"),
        ({"constraints": ["head.layers >"]}, "not a condition"),
        ({"exclude": [{"scale": "xl"}]}, "exclude[0].scale: the axis has no level 'xl'"),
        ({"exclude": [{"head.depth": 2}]}, "there is no axis 'head.depth'"),
        ({"exclude": [{}]}, "came an empty mapping"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rules: dict[str, Any], message: str) -> None:
    axes = {"head.layers": [1, 2, 3], "scale": ["xs", "s"]}

    assert message in problems_of("grid", axes=axes, **rules)[0]


def test_rules_that_leave_nothing_are_refused() -> None:
    found = problems_of("grid", axes={"head.layers": [1, 3]}, constraints=["head.layers == 2"])

    assert found == ["constraints: no combination meets every rule (2 break one); loosen them"]


def test_a_sub_space_varies_at_its_level_alone() -> None:
    axes = {
        "paradigm": {
            "levels": ["scalar", "critic"],
            "within": {
                "critic": {"critic.critique_weight": [0.5, 1]},
                "scalar": {"head.layers": [1, 2]},
            },
        }
    }

    assert names(plan_of("grid", axes=axes)) == [
        "baseline",
        "paradigm=scalar, head.layers=1",
        "paradigm=critic, critic.critique_weight=0.5",
        "paradigm=critic, critic.critique_weight=1",
    ]


def test_sub_spaces_may_vary_the_same_setting_over_different_levels() -> None:
    axes = {
        "scale": {
            "levels": ["xs", "s"],
            "within": {
                "xs": {"strategy.learning_rate": [0.004, 0.002]},
                "s": {"strategy.learning_rate": {"levels": [0.001, 0.0005]}},
            },
        }
    }

    plan = plan_of("grid", axes=axes)

    rates = {(arm.config.backbone.scale, arm.config.strategy.learning_rate) for arm in plan.arms}
    assert rates == {("xs", 0.004), ("xs", 0.002), ("s", 0.001), ("s", 0.0005)}


def test_a_sub_space_at_a_level_there_is_not_is_refused_at_its_place() -> None:
    axes = {"scale": {"levels": ["xs", "s"], "within": {"xl": {"head.layers": [1]}}}}

    assert problems_of("grid", axes=axes) == [
        "axes.scale.within.xl: the axis has no level 'xl'; known: xs, s"
    ]
