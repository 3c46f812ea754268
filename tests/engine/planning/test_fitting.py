"""What a plan that does not fit its budget says."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import Problem, SpecError
from sweep.engine.planning.fitting import budget_notes, budget_problems
from sweep.engine.planning.plan import SweepPlan, make_plan, with_finished
from sweep.spec.resolve import resolve
from tests.engine.known_digests import KnownDigests
from tests.engine.planning.test_plan import plan_of


def problems_of(plan: SweepPlan) -> dict[str, str]:
    return {problem.path: problem.message for problem in budget_problems(plan)}


def test_a_plan_that_fits_has_no_problem() -> None:
    assert budget_problems(plan_of(budget={"gpu_hours": 1e6, "hours": 1e6, "trials": 8})) == []
    assert budget_problems(plan_of()) == []


def test_too_many_trials_are_named_with_what_would_fit() -> None:
    (problem,) = budget_problems(plan_of(budget={"trials": 5}))

    assert problem == Problem(
        "budget.trials",
        "the plan needs 8 trials, allowed are 5; set replicates.seeds to 1 (4 trials); or drop "
        "the axis head.layers (4 trials); or raise budget.trials to 8",
    )


def test_every_limit_that_is_passed_is_named() -> None:
    tight = {"gpu_hours": 1e-3, "usd": 1e-3, "usd_per_gpu_hour": 2.0, "hours": 1e-3, "trials": 2}

    problems = problems_of(plan_of(budget=tight))

    assert list(problems) == ["budget.trials", "budget.gpu_hours", "budget.usd", "budget.hours"]
    assert "8 trials; arithmetic, unmeasured" in problems["budget.gpu_hours"]
    assert "which is not enough alone" in problems["budget.gpu_hours"]
    assert "hours on 2 devices" in problems["budget.hours"]


def test_the_raise_it_proposes_is_enough() -> None:
    message = problems_of(plan_of(budget={"gpu_hours": 1e-3}))["budget.gpu_hours"]

    proposed = float(message.rpartition(" ")[2])

    assert budget_problems(plan_of(budget={"gpu_hours": proposed})) == []


@pytest.mark.parametrize("design", ["grid", "one_factor"])
def test_the_axis_it_proposes_to_drop_saves_what_it_says(design: str) -> None:
    changes: dict[str, Any] = {"design": {"kind": design}, "budget": {"trials": 7}}
    changes["replicates"] = {"seeds": 2}
    message = problems_of(plan_of(**changes))["budget.trials"]

    assert "drop the axis scale (6 trials)" in message
    assert len(plan_of(**changes | {"axes": {"head.layers": [1, 2, 3]}}).trials) == 6


def test_what_is_finished_already_needs_no_budget() -> None:
    plan = plan_of(budget={"trials": 5})

    finished = with_finished(plan, [trial.identity for trial in plan.trials[:3]])

    assert budget_problems(finished) == []


def test_the_ways_to_fit_are_those_that_keep_most_and_all_of_them_fit() -> None:
    axes = {"head.layers": [1, 2, 3, 4, 5], "scale": ["xs", "s"], "paradigm": ["scalar", "critic"]}
    changes: dict[str, Any] = {"axes": axes, "replicates": {"seeds": 4}}
    # 7 arms: the baseline, four depths, a scale, a paradigm.
    message = problems_of(plan_of(**changes, budget={"trials": 24}))["budget.trials"]

    assert "the plan needs 28 trials, allowed are 24" in message
    assert "drop the axis scale (24 trials); or drop the axis paradigm (24 trials)" in message
    assert message.endswith("or raise budget.trials to 28")


def test_one_level_is_given_up_rather_than_an_axis() -> None:
    changes: dict[str, Any] = {"axes": {"head.layers": [1, 2, 3, 4, 5]}, "replicates": {"seeds": 4}}

    message = problems_of(plan_of(**changes, budget={"trials": 16}))["budget.trials"]

    assert "drop the level head.layers=1 (16 trials)" in message
    fewer = plan_of(**changes | {"axes": {"head.layers": [2, 3, 4, 5]}})
    assert len(fewer.trials) == 16


def test_an_arm_that_cannot_fit_its_own_budget_is_named() -> None:
    problems = problems_of(plan_of(budget={"per_arm": {"gpu_hours": 1e-3}}))

    assert list(problems) == ["budget.per_arm.gpu_hours"]
    assert "baseline needs about" in problems["budget.per_arm.gpu_hours"]
    assert "and 1 more" in problems["budget.per_arm.gpu_hours"]


def test_each_limit_of_an_arm_is_held_against_all_its_seeds() -> None:
    limits = {"gpu_hours": 1e-3, "usd": 1e-3, "hours": 1e-3, "trials": 2}
    budget = {"usd_per_gpu_hour": 2.0, "per_arm": limits}

    assert list(problems_of(plan_of(budget=budget))) == [
        "budget.per_arm.gpu_hours",
        "budget.per_arm.usd",
        "budget.per_arm.hours",
    ]
    with pytest.raises(SpecError, match="2 trials cannot hold an arm's 3 seeds"):
        plan_of(budget={"per_arm": {"trials": 2}}, replicates={"seeds": 3})


STAGES = [{"name": "depth", "axes": ["head.layers"]}, {"name": "size", "axes": ["scale"]}]
STAGED: dict[str, Any] = {"design": {"kind": "staged", "stages": STAGES}}
"""Three depths, then another scale: six trials of the first stage, two of the second."""


def test_a_stage_that_cannot_fit_its_own_budget_is_named_also_a_later_one() -> None:
    def problems(**per_stage: dict[str, float]) -> dict[str, str]:
        return problems_of(plan_of(**STAGED, budget={"per_stage": per_stage}))

    assert problems(depth={"gpu_hours": 1e6}, size={"gpu_hours": 1e6, "trials": 4}) == {}
    found = problems(depth={"gpu_hours": 1e-3}, size={"gpu_hours": 1e-3, "trials": 1})
    assert list(found) == [
        "budget.per_stage.depth.gpu_hours",
        "budget.per_stage.size.trials",
        "budget.per_stage.size.gpu_hours",
    ]
    message = found["budget.per_stage.size.gpu_hours"]
    assert "(2 trials, from the baseline as it is), allowed are 0.001" in message
    raised = float(message.partition(".gpu_hours to ")[2].partition(",")[0])
    assert problems(size={"gpu_hours": raised}) == {}


def test_what_later_stages_train_at_least_counts_for_the_budget_of_the_whole_sweep() -> None:
    assert problems_of(plan_of(**STAGED, budget={"trials": 8})) == {}

    message = problems_of(plan_of(**STAGED, budget={"trials": 7}))["budget.trials"]

    assert "the plan needs 8 trials (2 of them added by stages, from the baseline as it is)" in (
        message
    )
    assert "drop the axis scale (6 trials)" in message
    assert message.endswith("raise budget.trials to 8")


def test_device_hours_and_arms_of_later_stages_count_as_well() -> None:
    plan = plan_of(**STAGED)
    first = plan.estimate.device_hours.mid
    larger = plan_of(**STAGED, budget={"gpu_hours": 1.01 * first, "per_arm": {"gpu_hours": 1e-6}})

    problems = problems_of(larger)

    assert "(8 trials, 2 of them added by stages" in problems["budget.gpu_hours"]
    assert "and 1 more" in problems["budget.per_arm.gpu_hours"]  # three depths and a scale
    raised = float(problems["budget.gpu_hours"].rpartition(" ")[2])
    assert problems_of(plan_of(**STAGED, budget={"gpu_hours": raised})) == {}


def test_stages_take_their_time_one_after_the_other() -> None:
    plan = plan_of(**STAGED)
    assert plan.estimate.makespan_hours is not None
    # Two devices: the two seeds of the other scale run side by side, after all of the first stage.
    both = plan.estimate.makespan_hours.mid + plan.later[0].trial.seconds.mid / 3600
    fits = plan_of(**STAGED, budget={"hours": 1.01 * both})
    does_not = plan_of(**STAGED, budget={"hours": 0.99 * both})

    assert problems_of(fits) == {}
    assert list(problems_of(does_not)) == ["budget.hours"]


def test_later_trials_that_are_finished_already_need_no_budget() -> None:
    plan = plan_of(**STAGED, budget={"trials": 6})

    finished = with_finished(plan, [each.trial.identity for each in plan.later])

    assert list(problems_of(plan)) == ["budget.trials"]
    assert problems_of(finished) == {}


THREE_AXES: dict[str, Any] = {
    "axes": {"head.layers": [1, 2, 3], "scale": ["xs", "s"], "strategy.label_smoothing": [0, 0.1]},
    "design": {"kind": "grid"},
    "replicates": {"seeds": 3},
}
"""Twelve arms, 36 trials."""


@pytest.mark.parametrize("allowed", [35, 24, 12, 7, 6, 4, 3])
def test_three_ways_to_fit_are_named_and_each_of_them_fits(allowed: int) -> None:
    plan = plan_of(**THREE_AXES, budget={"trials": allowed})
    message = problems_of(plan)["budget.trials"]

    ways = message.partition("; ")[2].split("; or ")

    assert len(ways) == 3
    assert ways[-1] == "raise budget.trials to 36"
    kept = [int(way.rpartition("(")[2].partition(" ")[0]) for way in ways[:-1]]
    assert all(0 < count <= allowed for count in kept)
    assert kept == sorted(kept, reverse=True)


def test_what_two_cuts_together_leave_is_what_the_file_then_plans() -> None:
    message = problems_of(plan_of(**THREE_AXES, budget={"trials": 7}))["budget.trials"]

    assert "drop the axis scale and set replicates.seeds to 1 (6 trials)" in message
    axes = {name: levels for name, levels in THREE_AXES["axes"].items() if name != "scale"}
    assert len(plan_of(**THREE_AXES | {"axes": axes, "replicates": {"seeds": 1}}).trials) == 6


def test_what_only_takes_too_long_fits_on_more_devices() -> None:
    alone = plan_of(**THREE_AXES).estimate.makespan_hours
    assert alone is not None
    message = problems_of(plan_of(**THREE_AXES, budget={"hours": 0.6 * alone.mid}))["budget.hours"]

    devices = int(message.partition("run it on ")[2].partition(" ")[0])

    assert devices in (3, 4)
    spec = plan_of(**THREE_AXES, budget={"hours": 0.6 * alone.mid}).spec
    assert budget_problems(make_plan(resolve(spec), digests=KnownDigests(), devices=devices)) == []
    fewer = make_plan(resolve(spec), digests=KnownDigests(), devices=devices - 1)
    assert list(problems_of(fewer)) == ["budget.hours"]


def test_early_stops_lower_the_lower_end_and_what_cannot_fit_and_nothing_else() -> None:
    asha: dict[str, Any] = {"scheduler": {"kind": "asha", "reduction": 3, "first": 1 / 9}}
    whole, stopped = plan_of(**THREE_AXES).estimate, plan_of(**THREE_AXES, **asha).estimate
    hours = stopped.device_hours

    # Eleven arms and the baseline: 11/9 + 2/9 * 3 + 6/9 trainings, and one to its end.
    share = (11 / 9 + 6 / 9 + 6 / 9 + 1) / 12
    assert hours.low == pytest.approx(share * whole.device_hours.low, rel=0.05)
    assert (hours.mid, hours.high) == pytest.approx(
        (whole.device_hours.mid, whole.device_hours.high), rel=0.05
    )

    def said(gpu_hours: float) -> tuple[list[str], list[str]]:
        plan = plan_of(**THREE_AXES, **asha, budget={"gpu_hours": gpu_hours})
        return list(problems_of(plan)), list(budget_notes(plan))

    assert said(1.01 * hours.mid) == ([], [])
    problems, notes = said(0.9 * hours.mid)
    assert problems == []
    assert "if no arm is stopped early" in notes[0]
    assert said(0.9 * share * hours.mid)[0] == ["budget.gpu_hours"]


def test_a_search_that_cannot_fit_is_refused_with_the_largest_that_does() -> None:
    rates = {"strategy.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}}
    search: dict[str, Any] = {"axes": rates, "replicates": {"seeds": 2}}

    def said(points: int, trials: int, seeds: int = 2) -> dict[str, str]:
        replicates = {"replicates": {"seeds": seeds}}
        design = {"design": {"kind": "tpe", "trials": points}}
        return problems_of(plan_of(**search | replicates | design, budget={"trials": trials}))

    message = said(10, 13)["budget.trials"]

    assert "the plan needs 22 trials (20 of them added by the search at least)" in message
    assert "set design.trials to 5; or set replicates.seeds to 1;" in message
    assert said(5, 13) == {}
    assert said(10, 13, seeds=1) == {}


def test_a_race_is_told_where_its_budget_may_end_it_and_is_not_refused() -> None:
    race: dict[str, Any] = {"replicates": {"race": True, "initial": 2, "at_most": 6}}

    fits = plan_of(**race, budget={"trials": 24})
    may_not = plan_of(**race, budget={"trials": 20})
    cannot = plan_of(**race, budget={"trials": 5})

    assert list(budget_notes(fits)) == []
    assert "up to 24 trials (16 trials more: none if" in next(budget_notes(may_not))
    assert budget_problems(may_not) == []
    assert "set replicates.initial to 1" in problems_of(cannot)["budget.trials"]
