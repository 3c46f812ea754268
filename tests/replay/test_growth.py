"""Sweeps that grow while they run: searched, raced, staged; killed anywhere, they grow alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from infra.errors import InputError
from sweep.engine.decision_kinds import AddTrials, EndSweep
from sweep.engine.fold import SweepFold
from sweep.engine.growing.growth import Asked, Told
from sweep.engine.growing.rules import make_growth
from sweep.engine.replay import replay
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import Event
from sweep.replay.curves import CurveTable
from sweep.replay.driving import SimulatedDriver
from sweep.replay.planning import ReplayPlan, plan_replay
from sweep.replay.replaying import journal_of, register
from sweep.replay.working import SimulatedClock, trial_rows
from sweep.spec.sweep_spec import SweepSpec
from tests.replay.tables import decisions_in, random_table, spec_of, table_of

ASHA = {"kind": "asha", "reduction": 3, "first": "1/9"}


def run(
    spec: SweepSpec, table: CurveTable, *, workers: int = 2
) -> tuple[SimulatedDriver, list[Event]]:
    plan = plan_replay(spec, table)
    clock = SimulatedClock()
    journal = journal_of(plan, clock)
    driver = SimulatedDriver(plan, journal, clock, workers=workers)
    driver.run()
    return driver, journal.events(limit=None)


def takes_every_decision_again(spec: SweepSpec, table: CurveTable, events: list[Event]) -> bool:
    plan = plan_replay(spec, table)
    fold = SweepFold(plan.sweep_id, plan.trials, spec, growth=make_growth(spec, plan.drawn))
    moments = list(replay(fold, events))
    return bool(moments) and all(moment.agrees for moment in moments)


@pytest.mark.parametrize("scheduler", [{"kind": "none"}, ASHA])
def test_a_search_asks_for_its_points_and_asks_the_same_again(scheduler: dict[str, object]) -> None:
    table = random_table(40, seed=1, lost=0.02)
    spec = spec_of(scheduler=scheduler, design={"kind": "tpe", "trials": 15})

    driver, events = run(spec, table)

    asked = [d.asked for d in decisions_in(events) if isinstance(d, AddTrials)]
    assert [each.number for each in asked if each is not None] == list(range(15))
    points = {tuple(each.point.items()) for each in asked if each is not None}
    assert len(driver.trials) == len(points)
    assert all(trial.settled for trial in driver.view().trials)
    assert takes_every_decision_again(spec, table, events)


def test_a_search_tells_its_sampler_of_stopped_and_failed_points() -> None:
    table = random_table(40, seed=2, lost=0.05)
    spec = spec_of(scheduler=ASHA, design={"kind": "tpe", "trials": 20})

    driver, _ = run(spec, table)

    view = driver.view()
    arms = {entry.number: entry.arm for entry in view.history if isinstance(entry, Asked)}
    told = {arms[entry.number]: entry.state for entry in view.history if isinstance(entry, Told)}
    assert told == {
        trial.arm: {
            TrialState.SUCCEEDED: "complete",
            TrialState.STOPPED_EARLY: "pruned",
            TrialState.FAILED: "failed",
        }[trial.state]
        for trial in view.trials
    }
    assert set(told.values()) == {"complete", "pruned", "failed"}


def test_a_search_stops_asking_when_the_budget_is_spent_and_says_so() -> None:
    table = random_table(40, seed=1)
    spec = spec_of(budget={"trials": 5}, design={"kind": "tpe", "trials": 30})

    driver, events = run(spec, table)

    assert len(driver.trials) == 5
    asked = sum(isinstance(entry, Asked) for entry in driver.view().history)
    assert driver.ended == EndSweep(
        state=SweepState.STOPPED,
        reason=f"5 trials were started, budget.trials is 5; not begun: point {asked + 1} of 30",
    )
    assert takes_every_decision_again(spec, table, events)


@pytest.mark.parametrize(("trials", "state"), [(6, "stopped"), (12, "succeeded")])
def test_a_staged_sweep_whose_budget_ends_between_two_stages_is_stopped(
    trials: int, state: str
) -> None:
    spec = spec_of(
        3, baseline={"a": 0, "b": 0}, axes={"a": [0, 1], "b": [0, 1]},
        design=STAGED | {"adopt": "best"}, budget={"trials": trials},
    )  # fmt: skip

    driver, _ = run(spec, two_factors(0.1, 0.001))

    assert driver.ended is not None
    assert driver.ended.state == state
    assert ("not begun: stage second, with a=1" in driver.ended.reason) == (state == "stopped")


def test_a_race_whose_budget_ends_before_it_is_decided_is_stopped() -> None:
    spec = SweepSpec.model_validate(
        {
            "name": "made",
            "replicates": {"race": True, "initial": 2, "at_most": 9},
            "budget": {"trials": 4},
        }
    )

    driver, _ = run(spec, noisy([0.5, 0.5], 0.1))

    assert driver.ended is not None
    assert driver.ended.state is SweepState.STOPPED
    assert "budget.trials is 4; not begun: 2 of 2 arms are still in" in driver.ended.reason


def race(table: CurveTable, at_most: int) -> tuple[SweepSpec, SimulatedDriver, list[Event]]:
    spec = SweepSpec.model_validate(
        {"name": "made", "replicates": {"race": True, "initial": 2, "at_most": at_most}}
    )
    driver, events = run(spec, table)
    return spec, driver, events


def noisy(means: list[float], spread: float, *, seeds: int = 10) -> CurveTable:
    generator = np.random.default_rng(0)
    return table_of([[mean + spread * generator.normal() for _ in range(seeds)] for mean in means])


def test_a_race_gives_more_seeds_only_to_arms_that_may_still_be_the_best() -> None:
    table = noisy([0.5, 0.9, 0.1, 0.905], 0.01)

    spec, driver, events = race(table, 10)

    seeds = Counter(trial.arm for trial in driver.view().trials)
    assert seeds["c001"] == seeds["c003"] > 5
    assert seeds["c000"] < 6
    assert seeds["c002"] < 6
    assert takes_every_decision_again(spec, table, events)


def test_a_race_ends_when_one_is_left_or_the_seeds_are_used_up() -> None:
    _, alone, _ = race(noisy([0.1, 0.9], 0.001), 10)
    _, tied, _ = race(noisy([0.5, 0.5], 0.1), 4)

    assert max(trial.seed for trial in alone.view().trials) < 5
    assert Counter(trial.arm for trial in tied.view().trials) == {"c000": 4, "c001": 4}


STAGED = {
    "kind": "staged",
    "stages": [{"name": "first", "axes": ["a"]}, {"name": "second", "axes": ["b"]}],
}


def two_factors(effect_of_a: float, spread: float) -> CurveTable:
    """Every combination of `a` and `b`; `b` helps only together with `a`."""
    import pandas as pd

    from sweep.replay.curves import make_table
    from sweep.replay.curves_file import CurvesFile

    generator = np.random.default_rng(3)
    rows = [
        {"a": a, "b": b, "seed": seed, "step": step, "seconds": step,
         "accuracy": (0.5 + effect_of_a * a + 0.2 * a * b - 0.1 * b + spread * noise) * step / 9}
        for a in (0, 1) for b in (0, 1) for seed in range(4)
        for noise in [generator.normal()] for step in (1, 3, 9)
    ]  # fmt: skip
    columns = {"configuration": ["a", "b"], "step": "step", "seconds": "seconds",
               "metric": "accuracy", "seed": "seed"}  # fmt: skip
    described = CurvesFile.model_validate({"curves": "-", "columns": columns})
    return make_table(described, pd.DataFrame(rows), name="factors")


def staged(table: CurveTable, adopt_: str) -> tuple[set[str], bool]:
    spec = spec_of(
        4, baseline={"a": 0, "b": 0}, axes={"a": [0, 1], "b": [0, 1]},
        design=STAGED | {"adopt": adopt_},
    )  # fmt: skip
    driver, events = run(spec, table)
    return {t.configuration for t in driver.trials}, takes_every_decision_again(spec, table, events)


def test_what_a_stage_finds_is_the_next_ones_baseline() -> None:
    trained, again = staged(two_factors(0.1, 0.001), "supported")

    assert trained == {"0/0", "1/0", "1/1"}
    assert again


def test_a_difference_the_seeds_do_not_support_is_not_adopted_unless_asked_for() -> None:
    table = two_factors(0.01, 0.05)

    supported, _ = staged(table, "supported")
    best, _ = staged(table, "best")

    assert supported == {"0/0", "1/0", "0/1"}
    means = table.final_means
    assert best == ({"0/0", "1/0", "1/1"} if means["1/0"] > means["0/0"] else supported)


@pytest.mark.parametrize("axis", [list(range(12)), {"low": 0, "high": 11}], ids=["levels", "range"])
def test_a_drawn_stage_trains_as_many_points_as_it_asks_for_and_draws_them_again(
    axis: object,
) -> None:
    table = table_of([[0.1 * index] * 2 for index in range(12)])
    stage = {"name": "width", "axes": ["width"], "design": {"kind": "random", "points": 3}}
    spec = spec_of(
        2, baseline={"width": 0}, axes={"width": axis},
        design={"kind": "staged", "stages": [stage], "adopt": "best"},
    )  # fmt: skip

    driver, events = run(spec, table)

    assert len({trial.configuration for trial in driver.trials}) == 4  # the baseline with them
    assert len(driver.trials) == 8
    assert takes_every_decision_again(spec, table, events)


def test_a_budget_that_ends_between_two_reports_ends_the_sweep() -> None:
    table = random_table(12, seed=5)
    for hours in (0.0101, 0.0333333333, 0.05):
        driver, _ = run(spec_of(scheduler=ASHA, budget={"gpu_hours": hours}), table)

        assert driver.ended is not None
        assert driver.view().spent.device_seconds <= hours * 3600 + 0.01


def test_a_race_gives_no_seeds_to_an_arm_that_was_closed() -> None:
    table = noisy([0.5, 0.5, 0.5], 0.1)
    spec = SweepSpec.model_validate(
        {
            "name": "made",
            "replicates": {"race": True, "initial": 2, "at_most": 5},
            # The third takes 18 s a seed: its second ends just before what it may spend.
            "budget": {"per_arm": {"gpu_hours": 30 / 3600}},
        }
    )

    driver, events = run(spec, table)

    view = driver.view()
    seeds = Counter(trial.arm for trial in view.trials)
    assert seeds["c002"] == 2
    assert seeds["c000"] > 2
    assert takes_every_decision_again(spec, table, events)


def test_a_race_is_extended_although_no_file_lists_the_seeds_it_added(tmp_path: Path) -> None:
    table = noisy([0.5, 0.5], 0.1)

    def planned(at_most: int) -> ReplayPlan:
        replicates = {"race": True, "initial": 2, "at_most": at_most}
        return plan_replay(
            SweepSpec.model_validate({"name": "made", "replicates": replicates}), table
        )

    plan, larger = planned(3), planned(4)
    clock = SimulatedClock()
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock=clock) as ledger:
        driver = SimulatedDriver(plan, register(plan, ledger), clock, workers=2)
        driver.run()
        assert len(ledger.trials(plan.sweep_id)) == 6
        asked = larger.spec.model_dump(mode="json")
        rows = trial_rows(larger.trials, table)

        added = ledger.extend_sweep(plan.sweep_id, asked, arms=larger.arms, trials=rows)

        assert added == 0
        assert len(ledger.trials(plan.sweep_id)) == 6
        kept = [row for row in rows if (row.arm, row.seed) != ("c001", 0)]
        with pytest.raises(InputError, match="c001 seed 0"):
            ledger.extend_sweep(plan.sweep_id, asked, arms=larger.arms, trials=kept)
