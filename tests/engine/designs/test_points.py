"""Sets, rules and sub-spaces, from a sweep file to its arms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.designed import SOURCES, TRICKS, names, plan_of, problems_of


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
        ({"exclude": [{"scale": []}]}, "exclude[0].scale: expected a level or several"),
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
