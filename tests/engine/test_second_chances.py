"""What a failure costs: which checkpoints survive it, and which budgets it counts against."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sweep.engine.decision_kinds import EndSweep, StartTrial, Wait
from sweep.engine.decisions import decide
from sweep.engine.trial_events import ended, reported
from sweep.engine.view import TrialStanding
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.records.rows import Event
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import ArmBudgetSpec, BudgetSpec
from tests.engine.scenarios import sweep_of
from tests.engine.simulation import SimulatedDriver

_LOST = Event(
    seq=1,
    time=0.0,
    kind="attempt_finished",
    sweep_id="s",
    identity="a",
    payload={"state": "failed", "error_kind": "preempted", "device_seconds": 1.0},
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
        next(iter(driver.running.values())).failure = "preempted"
        driver.step()

    (decision,) = decide(SimulatedDriver(sweep).view())

    assert driver.ended.state is SweepState.FAILED
    identity = sweep.trials[0].identity
    assert decision == StartTrial(identity=identity, resume=True, retry=True)


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


def test_a_trial_that_gets_further_is_lost_as_often_as_machines_come_and_go() -> None:
    trial = TrialStanding(
        identity="a", arm="a", seed=0, workers=1, seconds_estimate=1.0, position=0, total_steps=100
    )
    for step in (*range(1, 31), 30, 30, 29):
        assert not trial.given_up
        told = {"step": step, "fraction": step / 100, "seconds": 1.0, "metrics": {}}
        trial = ended(reported(trial, told, key="eval/x"), _LOST, ours=True)

    assert trial.given_up


def test_a_full_disk_is_tried_again_after_pauses_that_grow_and_is_given_up_in_the_end(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, fails={0: "disk_full"}))
    driver.look()
    began = []
    while driver.ended is None:
        began += [clock.now] * bool(driver.running)
        driver.step()
        (waits,) = decide(driver.view()) or (None,)
        if isinstance(waits, Wait):
            assert "put off: no space was left on the machine" in waits.reason
            assert waits.until is not None
            clock.now = waits.until - 0.1
            assert not [*driver.look(), *driver.running][1:]
            clock.now += 0.2
            driver.look()

    assert [round(b - a) for a, b in pairwise(began)] == [30, 120, 480]
    assert driver.ended.state is SweepState.FAILED
    assert "disk_full 1" in driver.ended.reason
