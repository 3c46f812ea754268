"""What stages add, as far as it is known before the first one has begun."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from infra.errors import SpecError
from sweep.engine.growing.staging import StageGrowth, stage_points
from sweep.engine.planning.plan import SweepPlan
from sweep.spec.design_spec import StagedDesign
from tests.engine.planning.test_plan import plan_of
from trainer.config import TrainerConfig

RATE: dict[str, Any] = {"low": 1e-4, "high": 1e-2, "log": True}
LISTED = {"strategy.warmup": [0.0, 0.1, 0.2, 0.3], "head.dropout": [0.0, 0.1, 0.2, 0.3]}


def staged(axes: dict[str, Any], design: dict[str, Any], **changes: Any) -> SweepPlan:  # noqa: ANN401
    """Two depths, then a stage of these axes."""
    stages = [
        {"name": "depth", "axes": ["head.layers"]},
        {"name": "then", "axes": [*axes], "design": design},
    ]
    return plan_of(
        axes={"head.layers": [1, 2], **axes}, design={"kind": "staged", "stages": stages}, **changes
    )


def trained_by_growth(plan: SweepPlan) -> set[str]:
    growth = plan.growth
    assert isinstance(growth, StageGrowth)
    return {trial.identity for trial in growth.stage_trials(1, {})}


def test_a_drawn_stage_trains_as_many_points_as_it_asks_for() -> None:
    plan = staged(LISTED, {"kind": "random", "points": 3}, replicates={"seeds": 2})

    assert len(plan.later) == 6
    reference = {trial.identity for trial in plan.trials if trial.arm == "baseline"}
    assert trained_by_growth(plan) == reference | {each.trial.identity for each in plan.later}


def test_a_first_stage_that_does_not_train_its_own_baseline_is_given_it() -> None:
    stages = [{"name": "depth", "axes": ["head.layers"], "design": {"kind": "grid"}}]

    plan = plan_of(axes={"head.layers": [3, 4]}, design={"kind": "staged", "stages": stages})

    assert {trial.arm for trial in plan.trials} == {"head.layers=3", "head.layers=4"}
    assert [(each.stage, each.trial.arm, each.trial.seed) for each in plan.later] == [
        (0, "baseline", 5),
        (0, "baseline", 6),
    ]


@pytest.mark.parametrize("kind", ["random", "latin_hypercube"])
def test_a_drawn_stage_takes_ranges(kind: str) -> None:
    plan = staged({"strategy.learning_rate": RATE}, {"kind": kind, "points": 4})

    assert len({each.trial.config.strategy.learning_rate for each in plan.later}) == 4
    assert trained_by_growth(plan) >= {each.trial.identity for each in plan.later}


def test_a_stage_that_lists_levels_takes_no_range() -> None:
    with pytest.raises(SpecError, match="design grid lists levels, and a range has none to list"):
        staged({"strategy.learning_rate": RATE}, {"kind": "grid"})


def test_a_stage_that_leaves_one_out_compares_with_the_whole_set() -> None:
    members = {"members": ["scenes", "digits", "text"]}

    plan = staged({"data_mix": members}, {"kind": "leave_one_out"}, replicates={"seeds": 2})

    def kept(config: TrainerConfig) -> frozenset[str]:
        return frozenset(name for name, weight in config.data.weights.items() if weight > 0)

    assert kept(plan.arms[0].config) == {"scenes", "digits", "text"}
    assert {kept(each.trial.config) for each in plan.later} == {
        frozenset(pair) for pair in itertools.combinations(("scenes", "digits", "text"), 2)
    }


@pytest.mark.parametrize(
    ("axes", "design", "said"),
    [
        (
            {f"strategy.{name}": {"low": 0.0, "high": 0.4, "steps": 1000} for name in
             ("warmup", "label_smoothing")},
            {"kind": "grid"},
            r"design\.stages\[1\]\.design: a grid .* has 1,000,000 points",
        ),
        (LISTED, {"kind": "random", "points": 17}, r"these axes have only 16"),
        (
            {"strategy.warmup": {"low": 0.0, "high": 0.4}},
            {"kind": "random", "points": 90_000},
            r"design\.stages\[1\]: 90,000 points with 2 seeds are 180,000 trials",
        ),
    ],
)  # fmt: skip
def test_a_later_stage_of_too_many_points_is_refused_before_any_is_made(
    axes: dict[str, Any], design: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        staged(axes, design)


def test_a_later_point_that_is_no_valid_config_is_named() -> None:
    pair = {"strategy.warmup": 0.1, "machine.workers": 2}
    axes = {
        "gang": {"levels": {"alone": {"strategy.warmup": 0.2}, "pair": pair}},
        "strategy.batch_pairs": [3, 4],
    }

    with pytest.raises(SpecError, match=r"strategy.batch_pairs \(3\) must be a multiple of"):
        staged(axes, {"kind": "grid"})


def test_points_that_break_a_rule_with_what_was_adopted_are_counted() -> None:
    plan = staged(
        {"strategy.warmup": [0.0, 0.1, 0.2, 0.3]},
        {"kind": "grid"},
        constraints=["head.layers != 1 or strategy.warmup < 0.15"],
    )
    assert isinstance(plan.spec.design, StagedDesign)
    assert plan.space is not None
    then = plan.spec.design.stages[1]

    as_it_is, adopted = (
        stage_points(then, plan.space, point, number=1, seed=5)
        for point in ({}, {"head.layers": "1"})
    )

    assert (as_it_is.left_out, adopted.left_out) == (0, 2)
    assert len(adopted.points) == len(as_it_is.points) - 2


def test_a_sub_space_in_a_staged_design_is_refused() -> None:
    axes = {"head.activation": {"levels": ["tanh", "silu"], "within": {"silu": {"scale": ["xs"]}}}}

    with pytest.raises(SpecError, match="no stage varies the axes of a sub-space"):
        staged(axes, {"kind": "grid"})
