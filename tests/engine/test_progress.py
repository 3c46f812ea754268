"""What a progress display is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.cli.progress_view import progress_lines
from sweep.engine.budgets.budget import BudgetState
from sweep.engine.progress import ArmResult, Spend, arm_results, progress
from sweep.engine.view import Observation, SweepView, TrialStanding
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.replay.working import SimulatedClock
from sweep.spec.objective_spec import ObjectiveSpec
from sweep.spec.sweep_spec import BudgetSpec
from tests.engine.scenarios import run_to_the_end, sweep_of
from tests.engine.simulation import METRIC, SimulatedDriver, SimulatedSweep, planned


def standing(position: int, arm: str, seed: int, accuracy: float | None) -> TrialStanding:
    done = accuracy is not None
    return TrialStanding(
        identity=f"trial-{position}",
        arm=arm,
        seed=seed,
        workers=1,
        seconds_estimate=100.0,
        position=position,
        state=TrialState.SUCCEEDED if done else TrialState.PENDING,
        metrics={METRIC: accuracy} if accuracy is not None else {},
        attempts=int(done),
    )


def view_of(*trials: TrialStanding, mode: str = "max", pace: float | None = None) -> SweepView:
    return SweepView(
        sweep_id="heads-0",
        budget=BudgetSpec(gpu_hours=2, usd_per_gpu_hour=3, trials=9),
        objective=ObjectiveSpec.model_validate({"mode": mode}),
        state=SweepState.RUNNING,
        trials=trials,
        queue=(),
        open_trials=sum(not trial.settled for trial in trials),
        in_flight=tuple(trial for trial in trials if trial.state is TrialState.RUNNING),
        spent=BudgetState(device_seconds=3600, wall_seconds=1800, trials_started=3),
        pace=pace,
        first_ends=(),
        last_failure="",
        stop_requested=False,
        seen=1,
        observation=Observation(now=0.0, capacity=2, driver="me"),
    )


TRIALS = (
    standing(0, "baseline", 0, 0.5),
    standing(1, "deep", 0, 0.75),
    standing(2, "wide", 0, 0.99),
    standing(3, "baseline", 1, 0.75),
    standing(4, "deep", 1, 0.75),
    standing(5, "wide", 1, None),
)


def test_only_arms_with_all_their_seeds_are_compared() -> None:
    shown = progress(view_of(*TRIALS))

    assert [result.arm for result in arm_results(view_of(*TRIALS))] == ["baseline", "deep"]
    assert shown.best == ArmResult(arm="deep", mean=0.75, seeds=2, spread=0.0)
    assert (shown.complete_arms, shown.arms) == (2, 3)


def test_the_best_arm_follows_the_objectives_mode() -> None:
    best = progress(view_of(*TRIALS, mode="min")).best

    assert best is not None
    assert (best.arm, best.mean) == ("baseline", 0.625)


def test_trials_are_counted_by_state_and_by_the_work_done() -> None:
    half = replace(TRIALS[5], state=TrialState.RUNNING, fraction=0.5)

    shown = progress(view_of(*TRIALS[:5], half))

    assert shown.by_state == {TrialState.RUNNING: 1, TrialState.SUCCEEDED: 5}
    assert shown.done == pytest.approx(5.5 / 6)
    assert shown.trials == 6


def test_spending_is_set_against_the_limits() -> None:
    assert progress(view_of(*TRIALS)).spend == (
        Spend(name="gpu_hours", spent=1.0, limit=2.0),
        Spend(name="hours", spent=0.5, limit=None),
        Spend(name="usd", spent=3.0, limit=None),
        Spend(name="trials", spent=3, limit=9),
    )


def test_the_time_left_is_unknown_before_a_trial_has_finished_here() -> None:
    assert progress(view_of(*TRIALS)).seconds_left is None
    assert progress(view_of(*TRIALS, pace=0.5)).seconds_left == 50.0
    assert progress(view_of(*TRIALS[:5], pace=0.5)).seconds_left == 0.0


def test_the_time_left_is_that_on_as_many_devices_as_the_sweep_may_use() -> None:
    left = [standing(position, "wide", position, None) for position in (1, 2)]
    view = view_of(TRIALS[0], *left, pace=0.5)

    capped = replace(view, budget=BudgetSpec(devices=1))

    assert (progress(view).seconds_left, progress(capped).seconds_left) == (50.0, 100.0)


def test_a_reused_trial_is_said_to_be_reused(ledger: Ledger, clock: SimulatedClock) -> None:
    trials = [planned("shared-by-two", arm="baseline")]
    run_to_the_end(SimulatedDriver(SimulatedSweep(ledger, clock, trials)))
    second = SimulatedDriver(SimulatedSweep(ledger, clock, trials))

    shown = progress(second.view())

    assert (shown.reused, shown.done) == (1, 1.0)
    assert shown.best == ArmResult(arm="baseline", mean=0.9, seeds=1, spread=None)


def test_of_a_failed_trial_it_is_said_when_it_is_tried_again(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 1, 1, fails={0: "communication", 1: "bug"}))
    driver.look()
    driver.step()
    clock.now += 1.0

    lines = progress_lines(progress(driver.view()), title="t")

    assert "trials: 2 failed (1 of them tried again)" in lines
    given_up, retried = (line for line in lines if line.startswith("failed: "))
    assert retried.endswith("with a traceback (is tried again in 4 s)")
    assert given_up.endswith("with a traceback")


def test_the_arms_behind_the_best_are_told_by_their_place() -> None:
    lines = progress_lines(progress(view_of(*TRIALS)), title="t")

    assert [line for line in lines if "0." in line] == [
        "best so far: deep 0.7500 \N{PLUS-MINUS SIGN} 0.0000 (SD), 2 seeds",
        "place 2: baseline 0.6250 \N{PLUS-MINUS SIGN} 0.1768 (SD), 2 seeds",
    ]


def test_a_failed_trial_that_begins_afresh_after_a_pause_is_not_done() -> None:
    failed = replace(
        TRIALS[5],
        state=TrialState.FAILED,
        failures=("disk_full",),
        setbacks=1,
        fraction=1.0,
        not_before=480.0,
    )

    shown = progress(view_of(*TRIALS[:5], failed, pace=1.0))

    assert (shown.retried, shown.seconds_left) == (1, 480.0)
    assert shown.done == pytest.approx(5 / 6)


def test_of_a_trial_that_succeeded_at_last_no_other_attempt_is_announced() -> None:
    mended = replace(TRIALS[0], failures=("disk_full",), not_before=500.0)

    lines = progress_lines(progress(view_of(mended, *TRIALS[1:])), title="t")

    assert "failed: baseline seed 0: disk full" in lines
