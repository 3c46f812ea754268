"""What the engine decides in situations one can draw on paper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engine.decision_kinds import (
    EndSweep,
    StartTrial,
    StopTrial,
    Wait,
    from_dict,
    log_entry,
    observation_from,
    to_dict,
)
from sweep.engine.decisions import decide
from sweep.engine.view import PAUSES
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import BudgetSpec
from tests.engine.scenarios import order_of, run_to_the_end, sweep_of
from tests.engine.simulation import TTL, SimulatedDriver, SimulatedSweep


@pytest.mark.parametrize(
    ("kind", "attempts"),
    [("communication", 4), ("preempted", 11), ("diverged", 1), ("bug", 1), ("data", 1)],
)
def test_only_failures_of_the_machine_are_retried_and_not_for_ever(
    ledger: Ledger, clock: SimulatedClock, kind: str, attempts: int
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, 1, fails={0: kind}))

    end = run_to_the_end(driver, seconds=20.0)

    assert order_of(driver).count(0) == attempts
    assert end == EndSweep(state=SweepState.FAILED, reason=f"1 of 2 trials failed ({kind} 1)")


def test_a_retry_goes_on_from_the_checkpoint(ledger: Ledger, clock: SimulatedClock) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1))
    driver.look()
    clock.now += 5.0
    driver.step()
    next(iter(driver.running.values())).failure = "communication"
    driver.report()
    clock.now += PAUSES["communication"][0]

    (decision,) = decide(driver.view())

    identity = driver.sweep.trials[0].identity
    assert decision == StartTrial(identity=identity, resume=True, retry=True)


def test_starting_a_failed_sweep_again_gives_its_trials_another_chance_from_scratch(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = sweep_of(ledger, clock, 1, 1, fails={0: "bug"})
    run_to_the_end(SimulatedDriver(sweep))
    sweep.always_fails = {}
    driver = SimulatedDriver(sweep)

    (decision,) = decide(driver.view())

    assert decision == StartTrial(identity=sweep.trials[0].identity, resume=False, retry=True)
    assert run_to_the_end(driver).state is SweepState.SUCCEEDED


def test_a_sweep_whose_first_three_attempts_die_of_the_same_bug_is_ended(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = sweep_of(ledger, clock, *([1] * 9), capacity=1, fails=dict.fromkeys(range(9), "bug"))
    driver = SimulatedDriver(sweep)

    end = run_to_the_end(driver)

    assert order_of(driver) == [0, 1, 2]
    assert end.state is SweepState.FAILED
    assert end.reason == "the first 3 attempts all failed alike (bug: bug on purpose)"


@pytest.mark.parametrize("apart", [True, False])
def test_only_the_same_bug_ends_a_sweep_at_once_and_not_three_of_one_kind(
    ledger: Ledger, clock: SimulatedClock, apart: bool
) -> None:
    sweep = sweep_of(ledger, clock, *([1] * 6), capacity=1, fails=dict.fromkeys(range(6), "bug"))
    sweep.says = {}
    for index, trial in enumerate(sweep.trials):
        function = f"build_{index}" if apart else "build"
        sweep.says[trial.identity] = (
            f'no layer {index}\n  File "/x/trainer/model/head.py", line {index}, in {function}\n'
            f'  File "/x/site-packages/torch/nn.py", line 3, in call\nKeyError: {index}'
        )
    driver = SimulatedDriver(sweep)

    run_to_the_end(driver)

    assert order_of(driver) == ([*range(6)] if apart else [0, 1, 2])


def test_one_success_keeps_a_sweep_with_bugs_alive(ledger: Ledger, clock: SimulatedClock) -> None:
    fails = dict.fromkeys((0, 1, 3, 4), "bug")
    driver = SimulatedDriver(sweep_of(ledger, clock, *([1] * 6), capacity=1, fails=fails))

    run_to_the_end(driver)

    assert order_of(driver) == [0, 1, 2, 3, 4, 5]


def test_failures_stop_the_sweep_and_the_last_one_is_named(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    budget = BudgetSpec(failures=2)
    fails = dict.fromkeys(range(6), "diverged")
    sweep = sweep_of(ledger, clock, *([1] * 6), capacity=1, budget=budget, fails=fails)
    driver = SimulatedDriver(sweep)

    end = run_to_the_end(driver)

    assert order_of(driver) == [0, 1]
    assert end.state is SweepState.FAILED
    assert "2 attempts failed, budget.failures is 2" in end.reason
    assert "diverged on purpose" in end.reason


def test_a_spent_budget_stops_what_runs_before_it_ends_the_sweep(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    budget = BudgetSpec(gpu_hours=8 / 3600)
    sweep = sweep_of(ledger, clock, 1, 1, 1, capacity=2, budget=budget)
    driver = SimulatedDriver(sweep)
    driver.look()
    clock.now += 4.0
    driver.report()

    decisions = decide(driver.view())

    assert [type(decision) for decision in decisions] == [StopTrial, StopTrial]
    end = run_to_the_end(driver, seconds=0.0)
    assert end.state is SweepState.STOPPED
    assert "budget.gpu_hours" in end.reason
    states = {trial.state for trial in ledger.trials(sweep.sweep_id)[:2]}
    assert states == {TrialState.PAUSED}


def test_money_is_a_limit_like_hours(ledger: Ledger, clock: SimulatedClock) -> None:
    budget = BudgetSpec(usd_per_gpu_hour=3600.0, usd=5.0)  # a dollar a second
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, 1, capacity=1, budget=budget))

    end = run_to_the_end(driver, seconds=1.0)

    assert end.reason == "5.00 usd are spent, budget.usd is 5"


def test_a_stop_that_was_requested_pauses_what_runs(ledger: Ledger, clock: SimulatedClock) -> None:
    sweep = sweep_of(ledger, clock, 1, 1)
    driver = SimulatedDriver(sweep)
    driver.look()
    clock.now += 4.0
    driver.step()
    ledger.request_stop(sweep.sweep_id)

    end = run_to_the_end(driver, seconds=0.5)

    assert end == EndSweep(state=SweepState.STOPPED, reason="a stop was requested")
    assert {trial.state for trial in ledger.trials(sweep.sweep_id)} == {TrialState.PAUSED}


def test_a_trial_is_told_to_stop_once(ledger: Ledger, clock: SimulatedClock) -> None:
    sweep = sweep_of(ledger, clock, 1)
    driver = SimulatedDriver(sweep)
    driver.look()
    ledger.request_stop(sweep.sweep_id)

    (waiting,) = driver.look()

    assert waiting == Wait(reason="1 trial ending: a stop was requested")


def test_what_another_sweep_trains_is_waited_for_and_reused(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    first = sweep_of(ledger, clock, 1, 1)
    second = SimulatedSweep(ledger, clock, first.trials[:1])
    running, waiting = SimulatedDriver(first), SimulatedDriver(second)
    running.look()

    (decision,) = waiting.look()

    assert isinstance(decision, Wait)
    assert decision.reason == "1 trial running in other sweeps"
    run_to_the_end(running)
    assert run_to_the_end(waiting, seconds=0.0).state is SweepState.SUCCEEDED
    assert waiting.started == []


def test_what_a_dead_driver_left_running_is_taken_over_from_its_checkpoint(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = sweep_of(ledger, clock, 1, 1)
    dead = SimulatedDriver(sweep)
    dead.look()
    clock.now += 4.0
    dead.step()
    clock.now += TTL + 1.0
    driver = SimulatedDriver(sweep)

    decisions = decide(driver.view())

    assert decisions == tuple(
        StartTrial(identity=trial.identity, resume=True) for trial in sweep.trials
    )


def test_the_wait_ends_when_a_limit_will_be_reached(ledger: Ledger, clock: SimulatedClock) -> None:
    budget = BudgetSpec(gpu_hours=8 / 3600, hours=1.0)
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, 1, capacity=2, budget=budget))

    (decision,) = driver.look()

    assert isinstance(decision, Wait)
    assert decision.until == pytest.approx(clock.now + 4.0)


def test_an_ended_sweep_decides_nothing(ledger: Ledger, clock: SimulatedClock) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1))
    run_to_the_end(driver)

    assert decide(driver.view()) == ()


def test_the_log_entry_gives_back_the_observation_and_the_decisions(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    view = SimulatedDriver(sweep_of(ledger, clock, 1, 1)).view()
    decisions = decide(view)

    entry = log_entry(view, decisions)

    assert observation_from(entry) == view.observation
    assert tuple(from_dict(value) for value in entry["decisions"]) == decisions


@given(
    st.one_of(
        st.builds(StartTrial, identity=st.text(), resume=st.booleans(), retry=st.booleans()),
        st.builds(StopTrial, identity=st.text(), reason=st.text()),
        st.builds(EndSweep, state=st.sampled_from(SweepState), reason=st.text()),
        st.builds(Wait, reason=st.text(), until=st.none() | st.floats(0, 1e12)),
    )
)
def test_every_decision_survives_the_ledger(
    decision: StartTrial | StopTrial | EndSweep | Wait,
) -> None:
    assert from_dict(to_dict(decision)) == decision


def test_what_is_no_decision_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a decision"):
        from_dict({"kind": "dance"})
