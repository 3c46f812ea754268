"""Nothing ends early and nothing waits for ever: no devices, spent budgets, closed arms."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.engine.decision_kinds import AddTrials, CloseArm, EndSweep, Wait
from sweep.engine.decisions import decide
from sweep.engine.fold import SweepFold
from sweep.engine.growing.rules import make_growth
from sweep.engine.replay import replay
from sweep.engine.sharing import demand_of
from sweep.engine.view import Observation
from sweep.records.lifecycle import SweepState, TrialState
from sweep.replay.curves import CurveTable
from sweep.replay.driving import SimulatedDriver
from sweep.replay.journal import Journal
from sweep.replay.planning import plan_replay
from sweep.replay.working import SimulatedClock, trial_rows
from sweep.spec.sweep_spec import SweepSpec
from tests.replay.tables import decisions_in, random_table, spec_of, table_of

HALVING = {"kind": "asha", "reduction": 2, "first": "1/4"}


class OwnedJournal(Journal):
    """A journal into which the owner of a sweep may write as well."""

    def request_arm_stop(self, sweep_id: str, arm: str) -> None:
        """As a ledger."""
        self._append("arm_stop_requested", {"arm": arm}, sweep_id=sweep_id)


class Replayed:
    """A sweep on recorded curves, driven step by step."""

    def __init__(self, spec: SweepSpec, table: CurveTable, *, workers: int = 2) -> None:
        self.spec = spec
        self.table = table
        self.clock = SimulatedClock()
        self.plan = plan_replay(spec, table)
        self.journal = OwnedJournal(clock=self.clock)
        self.journal.add_trials(self.plan.sweep_id, trials=trial_rows(self.plan.trials, table))
        self.driver = SimulatedDriver(self.plan, self.journal, self.clock, workers=workers)

    def ended(self) -> EndSweep:
        """How it ends; an error if it waits for nothing."""
        while self.driver.ended is None:
            self.driver.step()
        return self.driver.ended

    def close(self, arm: str) -> None:
        """Its owner stops an arm."""
        self.journal.request_arm_stop(self.plan.sweep_id, arm)

    def states(self) -> dict[str, TrialState]:
        """By arm, of single seeds."""
        return {trial.arm: trial.state for trial in self.driver.view().trials}

    def fold(self) -> SweepFold:
        """A fold that has seen nothing."""
        plan = plan_replay(self.spec, self.table)
        growth = make_growth(self.spec, plan.drawn)
        return SweepFold(plan.sweep_id, plan.trials, self.spec, growth=growth)

    def replays(self) -> bool:
        """Whether every decision in its log would be taken again."""
        moments = list(replay(self.fold(), self.journal.events(limit=None)))
        return bool(moments) and all(moment.agrees for moment in moments)


SEARCH = spec_of(design={"kind": "tpe", "trials": 4})


def test_a_search_without_devices_waits_for_them_instead_of_ending() -> None:
    fold = Replayed(SEARCH, random_table(8)).fold()

    def decided(capacity: int) -> object:
        (decision,) = decide(
            fold.view(Observation(now=0.0, capacity=capacity, driver="d", capacity_may_grow=True))
        )
        return decision

    assert isinstance(decided(0), Wait)
    assert isinstance(decided(1), AddTrials)


def test_a_search_asks_a_shared_cluster_for_devices_for_the_points_it_has_left() -> None:
    # It asks for a point where a device is free: by what runs alone it would never get a second.
    sweep = Replayed(SEARCH, random_table(8), workers=1)
    sweep.driver.begin()

    def wanted(at_most: int) -> int:
        return demand_of(sweep.driver.view(), slots=1, at_most=at_most).wanted

    assert (wanted(2), wanted(8)) == (1 + 2, 1 + 3)
    sweep.ended()
    assert wanted(8) == 0


def test_a_search_whose_devices_are_gone_between_two_points_asks_for_the_rest_later() -> None:
    sweep = Replayed(SEARCH, random_table(8), workers=1)
    sweep.driver.begin()
    while sum(trial.settled for trial in sweep.driver.view().trials) < 1:
        sweep.driver.step()
    events = sweep.journal.events(limit=None)
    told = max(event.seq for event in events if event.kind == "attempt_finished")
    fold = sweep.fold()
    fold.apply_all(event for event in events if event.seq <= told)

    (decision,) = decide(fold.view(Observation(now=sweep.clock.now, capacity=0, driver="d")))

    assert isinstance(decision, Wait)
    assert sweep.ended().state is SweepState.SUCCEEDED
    assert len(sweep.driver.view().history) == 2 * 4


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_search_with_rungs_ends_when_its_budget_lets_no_further_arm_join(seeds: int) -> None:
    spec = spec_of(
        seeds,
        scheduler=HALVING,
        design={"kind": "tpe", "trials": 20},
        budget={"trials": 6},
    )
    sweep = Replayed(spec, random_table(30, seeds=seeds))

    sweep.driver.begin()
    end = sweep.ended()

    assert end.state is SweepState.STOPPED
    assert end.reason.startswith("6 trials were started, budget.trials is 6; not begun: point ")
    assert len(sweep.driver.view().trials) == 6
    assert TrialState.PAUSED not in set(sweep.states().values())
    assert sweep.replays()


def test_an_arm_closed_on_its_way_to_a_rung_holds_up_nobody_there() -> None:
    sweep = Replayed(spec_of(scheduler=HALVING), table_of([[0.5], [0.6]]), workers=2)
    sweep.driver.begin()

    sweep.close("c001")

    assert sweep.ended().state is SweepState.SUCCEEDED
    assert sweep.states()["c000"] is TrialState.SUCCEEDED
    assert sweep.replays()


def test_an_arm_closed_in_the_moment_it_would_be_judged_is_lost_once() -> None:
    # The second arrives at the rung after three seconds, which is all an arm may spend.
    spec = spec_of(scheduler=HALVING, budget={"per_arm": {"gpu_hours": 3 / 3600}})
    sweep = Replayed(spec, table_of([[0.9], [0.8]]), workers=2)
    sweep.driver.begin()

    def closed() -> list[str]:
        return [d.arm for d in decisions_in(sweep.journal.events()) if isinstance(d, CloseArm)]

    while not closed():
        sweep.driver.step()

    assert closed() == ["c001"]
    assert [rung.reachable for rung in sweep.driver.view().rungs] == [2, 1]
    sweep.ended()
    assert sweep.replays()


def test_closing_the_baseline_takes_nobodys_place() -> None:
    table = table_of([[0.0], [0.5], [0.4], [0.3], [0.2]])
    sweep = Replayed(spec_of(scheduler=HALVING, baseline="c000"), table, workers=5)
    sweep.driver.begin()

    sweep.close("baseline")
    sweep.ended()

    assert [rung.reachable for rung in sweep.driver.view().rungs] == [4, 2]
    assert sweep.states()["c001"] is TrialState.SUCCEEDED


@pytest.mark.parametrize("scheduler", [{"kind": "none"}, HALVING])
def test_a_failed_seed_of_a_closed_arm_is_not_taken_up_by_whoever_starts_the_sweep_again(
    scheduler: dict[str, Any],
) -> None:
    table = table_of([[0.5, math.nan], [0.6, 0.6], [0.7, 0.7]])
    sweep = Replayed(spec_of(2, scheduler=scheduler), table, workers=6)
    sweep.driver.begin()
    while not any(trial.given_up for trial in sweep.driver.view().trials):
        sweep.driver.step()
    sweep.close("c000")
    assert sweep.ended().state is SweepState.FAILED

    again = SimulatedDriver(sweep.plan, sweep.journal, sweep.clock, workers=6)
    ended = again.run()

    assert ended.state is SweepState.SUCCEEDED
    assert again.traces.started == []
    assert sweep.replays()


def test_a_race_gives_no_seeds_to_an_arm_that_was_closed_between_two_rounds() -> None:
    race = {"race": True, "initial": 2, "at_most": 5}
    table = table_of([[0.5] * 5, [0.5] * 5, [0.5] * 5])
    sweep = Replayed(SweepSpec.model_validate({"name": "made", "replicates": race}), table)
    sweep.driver.begin()
    while not all(t.settled for t in sweep.driver.view().trials if t.arm == "c000"):
        sweep.driver.step()

    sweep.close("c000")
    sweep.ended()

    seeds = Counter(trial.arm for trial in sweep.driver.view().trials)
    assert seeds == {"c000": 2, "c001": 5, "c002": 5}
    assert sweep.replays()


@settings(max_examples=60, deadline=None)
@given(
    arms=st.integers(2, 8),
    seeds=st.integers(1, 3),
    workers=st.integers(1, 5),
    closings=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 7)), max_size=4),
    budget=st.sampled_from([{}, {"gpu_hours": 9 / 3600}, {"failures": 1}]),
    lost=st.sampled_from([0.0, 0.1]),
    baseline=st.booleans(),
    chance=st.integers(0, 1000),
)
def test_whichever_arms_are_closed_and_when_the_sweep_ends_and_its_log_replays(  # noqa: PLR0917
    arms: int,
    seeds: int,
    workers: int,
    closings: list[tuple[int, int]],
    budget: dict[str, Any],
    lost: float,
    baseline: bool,
    chance: int,
) -> None:
    table = random_table(arms, seeds=seeds, seed=chance, lost=lost)
    reference = {"baseline": "c000"} if baseline else {}
    spec = spec_of(seeds, scheduler=HALVING, budget={"per_arm": budget}, **reference)
    sweep = Replayed(spec, table, workers=workers)
    names = [arm.name for arm in sweep.plan.arms]
    sweep.driver.begin()

    for steps, arm in sorted(closings):
        for _ in range(steps):
            if sweep.driver.ended is None:
                sweep.driver.step()
        sweep.close(names[arm % len(names)])
    sweep.ended()

    view = sweep.driver.view()
    assert all(trial.settled or trial.stopped for trial in view.trials)
    assert all(rung.reachable >= len(rung.ranked) for rung in view.rungs)
    assert sweep.replays()
