"""Who may start: devices, gangs that wait for theirs, and what the budget still holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.engine.decision_kinds import Wait
from sweep.engine.decisions import decide
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import ArmBudgetSpec, BudgetSpec
from tests.engine.scenarios import order_of, run_to_the_end, sweep_of
from tests.engine.simulation import TTL, SimulatedDriver, SimulatedSweep, distinct, planned


def test_trials_start_in_plan_order_as_devices_allow(ledger: Ledger, clock: SimulatedClock) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, 1, 1, 1, capacity=2))

    driver.look()

    assert order_of(driver) == [0, 1]
    assert run_to_the_end(driver).state is SweepState.SUCCEEDED
    assert order_of(driver) == [0, 1, 2, 3]


def test_a_large_gang_is_overtaken_only_so_often(ledger: Ledger, clock: SimulatedClock) -> None:
    # One long trial keeps a device, so that the gang of two would wait for all the small ones.
    sweep = sweep_of(ledger, clock, 1, 2, *([1] * 20), capacity=2)
    sweep.real_seconds = {sweep.trials[0].identity: 60.0}
    sweep.real_seconds |= {trial.identity: 1.0 for trial in sweep.trials[2:]}
    driver = SimulatedDriver(sweep)

    run_to_the_end(driver, seconds=1.0)

    overtakers = order_of(driver).index(1) - 1
    assert overtakers == driver.view().max_overtakes


def test_a_gang_larger_than_all_devices_ends_the_sweep_after_the_others(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 4, 1, 1, capacity=2))

    end = run_to_the_end(driver)

    assert order_of(driver) == [1, 2]
    assert end.state is SweepState.FAILED
    assert "needs 4 devices at once, there are 2" in end.reason


def test_a_trial_that_would_not_fit_the_rest_of_the_budget_is_not_begun(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    budget = BudgetSpec(gpu_hours=25 / 3600)  # of trials that take 10 s each
    driver = SimulatedDriver(sweep_of(ledger, clock, *([1] * 4), capacity=1, budget=budget))

    end = run_to_the_end(driver, seconds=1.0)

    assert order_of(driver) == [0, 1]
    assert end.state is SweepState.STOPPED
    assert "needs about 0.00278 device-hours, 0.00139 are left of the budget" in end.reason


def test_an_unmeasured_estimate_refuses_nobody(ledger: Ledger, clock: SimulatedClock) -> None:
    sweep = sweep_of(ledger, clock, 1, 1, capacity=1, budget=BudgetSpec(gpu_hours=5 / 3600))
    sweep.real_seconds = {trial.identity: 1.0 for trial in sweep.trials}  # planned as 10 s
    driver = SimulatedDriver(sweep)

    assert run_to_the_end(driver, seconds=1.0).state is SweepState.SUCCEEDED


def test_the_limit_on_trials_lets_what_was_begun_go_on(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = sweep_of(ledger, clock, 1, 1, 1, capacity=1, budget=BudgetSpec(trials=1))
    first = SimulatedDriver(sweep)
    first.look()
    clock.now += 4.0
    first.step()
    clock.now += TTL + 1.0  # killed

    driver = SimulatedDriver(sweep)
    end = run_to_the_end(driver)

    assert order_of(driver) == [0]
    assert end.reason == "budget.trials is 1, and that many were started"


def test_without_any_devices_yet_a_sweep_waits_for_them(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, capacity=0))

    (decision,) = driver.look()

    assert isinstance(decision, Wait)
    assert decision.reason.endswith("waits for 1 of 0 devices")


def test_a_gang_too_large_for_now_waits_on_a_cluster_that_may_grow(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    view = SimulatedDriver(sweep_of(ledger, clock, 4, capacity=2)).view()

    (decision,) = decide(
        replace(view, observation=replace(view.observation, capacity_may_grow=True))
    )

    assert isinstance(decision, Wait)


@pytest.mark.parametrize("share", [2, 3, 7, 16])
def test_as_many_trials_share_a_device_as_asked_for_and_a_whole_one_waits(
    ledger: Ledger, clock: SimulatedClock, share: int
) -> None:
    sweep = sweep_of(ledger, clock, *([1 / share] * (share + 1)), 1, capacity=1)
    driver = SimulatedDriver(sweep)

    driver.look()

    assert order_of(driver) == [*range(share)]
    clock.now += 4.0
    assert driver.view().spent.device_seconds == pytest.approx(4.0)
    assert run_to_the_end(driver).state is SweepState.SUCCEEDED
    assert driver.view().spent.device_seconds == pytest.approx(10.0 * (2 + 1 / share))


def test_a_gang_too_large_ends_no_sweep_while_a_trial_waits_to_be_tried_again(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = sweep_of(ledger, clock, 4, 1, capacity=2)
    driver = SimulatedDriver(sweep)
    driver.look()
    driver.running[sweep.trials[1].identity].failure = "communication"
    clock.now += 1.0
    driver.step()

    end = run_to_the_end(driver)

    assert order_of(driver) == [1, 1]
    assert "needs 4 devices at once, there are 2" in end.reason
    assert ledger.trials(sweep.sweep_id)[1].state is TrialState.SUCCEEDED


def test_an_arm_that_costs_more_than_each_may_spend_is_put_aside_and_ends_no_sweep(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    # All take twice what was planned, so that `b` is seen to need 60 s where an arm has 50.
    trials = [
        planned(distinct("trial"), arm=arm, seconds=seconds)
        for arm, seconds in (("a", 10.0), ("b", 30.0), ("c", 10.0))
    ]
    sweep = SimulatedSweep(
        ledger,
        clock,
        trials,
        capacity=1,
        budget=BudgetSpec(per_arm=ArmBudgetSpec(gpu_hours=50 / 3600)),
        real_seconds={trial.identity: 2 * trial.seconds.mid for trial in trials},
    )
    driver = SimulatedDriver(sweep)

    end = run_to_the_end(driver)

    assert order_of(driver) == [0, 2]
    assert end.state is SweepState.SUCCEEDED
    assert end.reason == "1 trial stopped early, the others succeeded"
