"""What a failure costs: which checkpoints survive it, and which budgets it counts against."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sweep.engine.decision_kinds import EndSweep, StartTrial, Wait
from sweep.engine.decisions import decide
from sweep.engine.trial_events import ended, reported
from sweep.engine.view import DISK_FULL, MAX_LOSSES, MAX_RETRIES, PAUSES, TrialStanding
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.records.rows import Event
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import ArmBudgetSpec, BudgetSpec
from tests.engine.scenarios import sweep_of
from tests.engine.simulation import SimulatedDriver

TRIAL = TrialStanding(
    identity="a", arm="a", seed=0, workers=1, seconds_estimate=1.0, position=0, total_steps=100
)


def test_starting_a_sweep_again_whose_machines_were_taken_goes_on_from_the_checkpoint(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = sweep_of(ledger, clock, 1)
    driver = SimulatedDriver(sweep)
    driver.look()
    clock.now += 5.0
    driver.step()
    while driver.ended is None:
        for work in driver.running.values():
            work.failure = "preempted"
        clock.now += max(PAUSES["preempted"])
        driver.step()

    (decision,) = decide(SimulatedDriver(sweep).view())

    assert driver.ended.state is SweepState.FAILED
    identity = sweep.trials[0].identity
    assert decision == StartTrial(identity=identity, resume=True, retry=True)


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_pause_ends_with_a_driver_that_was_interrupted_and_not_with_one_that_failed(
    ledger: Ledger, clock: SimulatedClock, interrupted: bool
) -> None:
    sweep = sweep_of(ledger, clock, 1)
    driver = SimulatedDriver(sweep)
    driver.look()
    driver.running[sweep.trials[0].identity].failure = DISK_FULL
    clock.now += 5.0
    driver.report()
    assert not driver.running
    # Its user frees the disk, and has it go on: by hand, or by queueing the batch job again.
    ledger.release_sweep(sweep.sweep_id, driver.holder, interrupted=interrupted)
    clock.now += 1.0

    decisions = decide(SimulatedDriver(sweep).view())

    assert any(isinstance(each, StartTrial) for each in decisions) is interrupted


def test_a_checkpoint_from_before_a_bug_is_spoiled_until_a_new_one_is_written(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    sweep = sweep_of(ledger, clock, 1)
    driver = SimulatedDriver(sweep)

    def broken_off(kind: str) -> None:
        next(iter(driver.running.values())).failure = kind
        driver.report()

    def resumes() -> list[bool]:
        return [each.resume for each in decide(driver.view()) if isinstance(each, StartTrial)]

    driver.look()
    clock.now += 5.0
    driver.step()
    broken_off("bug")
    driver.look()
    driver = SimulatedDriver(sweep)
    driver.look()
    broken_off("preempted")
    clock.now += PAUSES["preempted"][0]
    assert resumes() == [False]
    driver.look()
    driver.step()
    ledger.request_stop(sweep.sweep_id)
    driver.step()
    driver = SimulatedDriver(sweep)
    assert resumes() == [True]


def test_a_trial_without_a_whole_checkpoint_begins_afresh_by_itself(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1))
    driver.look()
    clock.now += 5.0
    driver.step()
    (identity,) = driver.running

    driver.running[identity].failure = "damaged"
    driver.report()
    (decision,) = decide(driver.view())

    assert decision == StartTrial(identity=identity, resume=False, retry=True)


@pytest.mark.parametrize("kind", ["out_of_memory", "preempted"])
def test_what_a_smaller_batch_or_another_machine_cures_counts_against_no_budget(
    ledger: Ledger, clock: SimulatedClock, kind: str
) -> None:
    budget = BudgetSpec(failures=2, per_arm=ArmBudgetSpec(failures=1))
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, 1, 1, budget=budget))
    driver.look()
    broken: set[str] = set()
    while driver.ended is None:
        for identity in driver.running.keys() - broken:
            driver.running[identity].failure = kind
            broken.add(identity)
        driver.step()
        clock.now += 5.0

    assert len(broken) == 3
    assert driver.ended == EndSweep(state=SweepState.SUCCEEDED, reason="all trials succeeded")


def failed(trial: TrialStanding, kind: str, *, at: float = 0.0) -> TrialStanding:
    event = Event(
        seq=1,
        time=at,
        kind="attempt_finished",
        sweep_id="s",
        identity="a",
        payload={"state": "failed", "error_kind": kind, "device_seconds": 1.0},
    )
    return ended(trial, event, ours=True)


def told(trial: TrialStanding, step: int) -> TrialStanding:
    said = {"step": step, "fraction": step / 100, "seconds": 1.0, "metrics": {}}
    return reported(trial, said, key="eval/x")


def test_a_trial_that_gets_further_is_lost_as_often_as_machines_come_and_go() -> None:
    trial = TRIAL
    for step in (*range(1, 31), *[30, 29] * (MAX_LOSSES // 2)):
        assert not trial.given_up
        trial = failed(told(trial, step), "preempted")

    assert trial.given_up


@given(
    st.lists(
        st.sampled_from([*sorted(PAUSES), "damaged", "step"]), max_size=MAX_LOSSES + MAX_RETRIES + 2
    )
)
def test_machines_taken_away_use_up_no_retry_and_every_failure_in_a_row_waits_no_less(
    course: list[str],
) -> None:
    trial, step, in_a_row = TRIAL, 0, Counter[str]()
    longest: dict[str, float] = {}
    for number, what in enumerate(course):
        now = 1000.0 * number
        if what == "step":
            step += 1
            trial, in_a_row, longest = told(trial, step), Counter(), {}
            continue
        trial = failed(trial, what, at=now)
        in_a_row[what] += 1
        pause = max(0.0, trial.not_before - now)
        assert (pause > 0.0) == (what in PAUSES)
        assert pause >= longest.get(what, 0.0)
        longest[what] = pause
        others = in_a_row.total() - in_a_row["preempted"]
        worn_out = others > MAX_RETRIES or in_a_row["preempted"] > MAX_LOSSES
        assert trial.given_up == worn_out
        if worn_out:
            return


@pytest.mark.parametrize(
    ("kind", "pauses", "said"),
    [
        ("disk_full", [30, 120, 480], "no space was left on the machine"),
        ("communication", [5, 20, 60], "the machine failed"),
        ("preempted", [5, 20, 60, 180, *[300] * 6], "the machine failed"),
    ],
)
def test_what_fails_a_machine_is_waited_for_longer_each_time_and_given_up_in_the_end(
    ledger: Ledger, clock: SimulatedClock, kind: str, pauses: list[int], said: str
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, fails={0: kind}))
    driver.look()
    began = []
    while driver.ended is None:
        began += [clock.now] * bool(driver.running)
        driver.step()
        (waits,) = decide(driver.view()) or (None,)
        if isinstance(waits, Wait):
            assert f"1 trial put off: {said}" in waits.reason
            assert waits.until is not None
            clock.now = waits.until - 0.1
            assert not [*driver.look(), *driver.running][1:]
            clock.now += 0.2
            driver.look()

    assert [round(b - a) for a, b in pairwise(began)] == pauses
    assert driver.ended.state is SweepState.FAILED
    assert f"{kind} 1" in driver.ended.reason


def test_others_go_on_while_a_trial_waits_for_its_machine(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, 1, capacity=1))
    driver.look()
    first, second = (trial.identity for trial in driver.sweep.trials)

    driver.running[first].failure = "communication"
    driver.step()

    assert [*driver.running] == [second]


def test_starting_a_sweep_again_waits_for_nothing(ledger: Ledger, clock: SimulatedClock) -> None:
    sweep = sweep_of(ledger, clock, 1)
    driver = SimulatedDriver(sweep)
    driver.look()
    next(iter(driver.running.values())).failure = "disk_full"
    driver.step()
    assert not driver.running
    ledger.request_stop(sweep.sweep_id)
    driver.look()
    assert driver.ended is not None

    (decision,) = decide(SimulatedDriver(sweep).view())

    assert isinstance(decision, StartTrial)


def test_a_trial_rests_no_longer_because_the_clock_was_set_back(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1))
    driver.look()
    next(iter(driver.running.values())).failure = "disk_full"
    driver.step()
    assert not driver.running

    clock.now -= 86_400

    driver.look()
    assert len(driver.running) == 1


def test_a_trial_that_begins_afresh_is_expected_to_cost_all_of_it_again(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    # 10 s and 9 s are spent of 25 when a bug spoils the second trial's checkpoint: 6 s are left.
    budget = BudgetSpec(gpu_hours=25 / 3600)
    sweep = sweep_of(ledger, clock, 1, 1, capacity=1, budget=budget)
    driver = SimulatedDriver(sweep)
    driver.look()
    clock.now += 10.0
    driver.step()
    clock.now += 8.0
    driver.step()
    (work,) = driver.running.values()
    work.failure = "bug"
    clock.now += 1.0
    driver.step()
    assert driver.ended is not None

    (decision,) = decide(SimulatedDriver(sweep).view())

    assert isinstance(decision, EndSweep)
    assert "needs about 0.00278 device-hours, 0.00167 are left" in decision.reason
