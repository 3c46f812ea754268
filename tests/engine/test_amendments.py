"""A sweep that is changed while it runs: an arm stopped, a budget moved, and still replayable."""

from __future__ import annotations

from collections import Counter

import pytest

from sweep.engine.decision_kinds import EndSweep
from sweep.engine.replay import replay
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import ArmBudgetSpec, BudgetSpec
from tests.engine.scenarios import run_to_the_end
from tests.engine.simulation import (
    SimulatedDriver,
    SimulatedSweep,
    distinct,
    planned,
)


def two_arms(
    ledger: Ledger, clock: SimulatedClock, budget: BudgetSpec | None = None
) -> SimulatedSweep:
    """Two arms of three seeds, seeds outermost, one device."""
    trials = [
        planned(distinct("trial"), arm=arm, seed=seed) for seed in range(3) for arm in ("a", "b")
    ]
    return SimulatedSweep(ledger, clock, trials, capacity=1, budget=budget or BudgetSpec())


def assert_replays(sweep: SimulatedSweep) -> None:
    events = sweep.ledger.events(limit=None, sweep_id=sweep.sweep_id)
    moments = list(replay(sweep.fold(), events))
    assert moments
    assert all(moment.agrees for moment in moments)


def states_by_arm(sweep: SimulatedSweep) -> dict[str, Counter[TrialState]]:
    arm_of = {trial.identity: trial.arm for trial in sweep.trials}
    found: dict[str, Counter[TrialState]] = {"a": Counter(), "b": Counter()}
    for view in sweep.ledger.trials(sweep.sweep_id):
        found[arm_of[view.identity]][view.state] += 1
    return found


def test_a_stopped_arm_checkpoints_what_runs_and_starts_nothing_more(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = two_arms(ledger, clock)
    driver = SimulatedDriver(sweep)
    driver.look()
    clock.now += 11
    driver.step()  # the first seed of `a` is done, `b` runs
    assert states_by_arm(sweep)["b"][TrialState.RUNNING] == 1

    ledger.request_arm_stop(sweep.sweep_id, "b")
    ended = run_to_the_end(driver)

    states = states_by_arm(sweep)
    assert states["a"] == {TrialState.SUCCEEDED: 3}
    assert states["b"][TrialState.PENDING] == 2
    assert states["b"][TrialState.RUNNING] == states["b"][TrialState.SUCCEEDED] == 0
    assert isinstance(ended, EndSweep)
    assert ended.state is SweepState.SUCCEEDED
    assert_replays(sweep)


def test_an_arm_stopped_twice_or_when_it_is_done_stays_as_it_is(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = two_arms(ledger, clock)
    driver = SimulatedDriver(sweep)
    ledger.request_arm_stop(sweep.sweep_id, "b")
    ledger.request_arm_stop(sweep.sweep_id, "b")
    run_to_the_end(driver)

    ledger.request_arm_stop(sweep.sweep_id, "a")
    again = SimulatedDriver(sweep)
    run_to_the_end(again)

    assert states_by_arm(sweep)["a"] == {TrialState.SUCCEEDED: 3}
    assert again.started == []
    assert_replays(sweep)


def test_a_smaller_budget_stops_a_running_sweep_and_a_larger_one_lets_it_go_on(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    budget = BudgetSpec(trials=6)
    sweep = two_arms(ledger, clock, budget)
    driver = SimulatedDriver(sweep)
    driver.look()
    clock.now += 11
    driver.step()

    ledger.set_budget(sweep.sweep_id, BudgetSpec(trials=2).model_dump(mode="json"))
    run_to_the_end(driver)
    assert len(driver.started) == 2

    ledger.set_budget(sweep.sweep_id, BudgetSpec(trials=5).model_dump(mode="json"))
    again = SimulatedDriver(sweep)
    run_to_the_end(again)

    assert len(again.started) == 3
    assert_replays(sweep)


def test_an_arm_that_spent_its_own_budget_is_stopped_and_the_others_go_on(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    # Ten seconds per trial, three at once; an arm may spend fifteen.
    budget = BudgetSpec(per_arm=ArmBudgetSpec(gpu_hours=15 / 3600))
    trials = [
        planned(distinct("trial"), arm=arm, seed=seed, seconds=seconds)
        for seed in range(3)
        for arm, seconds in (("a", 4.0), ("b", 10.0))
    ]
    sweep = SimulatedSweep(ledger, clock, trials, capacity=6, budget=budget)

    ended = run_to_the_end(SimulatedDriver(sweep), seconds=1.0)

    states = states_by_arm(sweep)
    assert states["a"] == {TrialState.SUCCEEDED: 3}
    assert states["b"] == {TrialState.STOPPED_EARLY: 3}
    spent = sum(
        view.device_seconds
        for view in ledger.trials(sweep.sweep_id)
        if view.identity in {trial.identity for trial in trials if trial.arm == "b"}
    )
    assert 15 <= spent <= 18
    assert ended.state is SweepState.SUCCEEDED
    assert_replays(sweep)


def test_an_arm_that_keeps_failing_is_stopped_alone(ledger: Ledger, clock: SimulatedClock) -> None:
    budget = BudgetSpec(per_arm=ArmBudgetSpec(failures=2))
    trials = [
        planned(distinct("trial"), arm=arm, seed=seed) for seed in range(4) for arm in ("a", "b")
    ]
    failing = {trial.identity: "diverged" for trial in trials if trial.arm == "b"}
    sweep = SimulatedSweep(ledger, clock, trials, capacity=1, budget=budget, always_fails=failing)

    run_to_the_end(SimulatedDriver(sweep))

    assert states_by_arm(sweep)["a"] == {TrialState.SUCCEEDED: 4}
    assert states_by_arm(sweep)["b"] == {TrialState.FAILED: 2, TrialState.PENDING: 2}
    assert_replays(sweep)


@pytest.mark.parametrize("written", ["budget", "stop", "arm", "report", "taken over"])
def test_what_others_write_of_a_sweep_whose_driver_died_is_not_charged_as_its_time(
    ledger: Ledger, clock: SimulatedClock, written: str
) -> None:
    sweep = two_arms(ledger, clock)
    driver = SimulatedDriver(sweep)
    driver.look()
    clock.now += 5.0
    driver.step()
    clock.now += 36_000.0  # the driver died ten hours ago

    if written == "budget":
        ledger.set_budget(sweep.sweep_id, BudgetSpec(hours=1).model_dump(mode="json"))
    elif written == "stop":
        ledger.request_stop(sweep.sweep_id)
    elif written == "arm":
        ledger.request_arm_stop(sweep.sweep_id, "b")
    elif written == "report":
        ledger.enqueue_publication(sweep.sweep_id, "report", {"headline": "so far"})
    else:
        other = SimulatedSweep(ledger, clock, sweep.trials[:1])
        SimulatedDriver(other).look()
    spent = SimulatedDriver(sweep).view().spent

    assert spent.wall_seconds == 5.0
    assert ledger.spent(sweep.sweep_id).wall_seconds == 5.0
