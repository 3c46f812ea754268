"""An arm that has spent its budget is over, after a warning and a drain, and the others go on."""

from __future__ import annotations

from collections import Counter

import pytest

from sweep.engine.decision_kinds import CloseArm, Decision, Drain, DropTrial, Warn
from sweep.engine.fold import SweepFold
from sweep.engine.replay import replay
from sweep.replay.driving import SimulatedDriver
from sweep.replay.planning import plan_replay
from sweep.replay.replaying import journal_of
from sweep.replay.working import SimulatedClock
from tests.replay.tables import decisions_in, spec_of, table_of

FAST, SLOW = "c000", "c001"
"""Arms whose trials take 9 and 13.5 seconds."""


def run(seeds: int, workers: int, **per_arm: float) -> tuple[SimulatedDriver, list[Decision]]:
    price = {"usd_per_gpu_hour": 3600.0} if "usd" in per_arm else {}
    spec = spec_of(seeds, budget={"per_arm": per_arm} | price)
    plan, clock = plan_replay(spec, table_of([[0.5] * seeds, [0.6] * seeds])), SimulatedClock()
    journal = journal_of(plan, clock)
    driver = SimulatedDriver(plan, journal, clock, workers=workers)
    driver.run()
    events = journal.events(limit=None)
    again = SweepFold(plan.sweep_id, plan.trials, spec)
    assert all(moment.agrees for moment in replay(again, events))
    assert all(trial.settled for trial in driver.view().trials)
    kinds = (Warn, Drain, CloseArm, DropTrial)
    return driver, [each for each in decisions_in(events) if isinstance(each, kinds)]


def spent(driver: SimulatedDriver, arm: str) -> float:
    trials = driver.view().trials
    return sum(trial.device_seconds for trial in trials if trial.arm.endswith(arm))


@pytest.mark.parametrize(
    ("limits", "workers", "limit", "slow_spent"),
    [
        ({"gpu_hours": 20 / 3600}, 4, "gpu_hours", 20.0),
        ({"usd": 20.0}, 4, "usd", 20.0),
        ({"hours": 10 / 3600}, 4, "hours", 20.0),
    ],
)
def test_an_arm_is_warned_drained_and_stopped_at_each_of_its_own_limits(
    limits: dict[str, float], workers: int, limit: str, slow_spent: float
) -> None:
    driver, decided = run(2, workers, **limits)

    told = [each for each in decided if not isinstance(each, DropTrial)]
    of_slow = [each for each in told if SLOW in getattr(each, "limit", SLOW)]
    assert [each.kind for each in of_slow] == ["warn", "drain", "close_arm"]
    assert isinstance(of_slow[0], Warn)
    assert of_slow[0].limit.startswith(f"budget.per_arm.{limit} of ")
    assert spent(driver, SLOW) == pytest.approx(slow_spent, abs=0.01)
    assert spent(driver, FAST) == pytest.approx(18.0, abs=0.01)


def test_an_arm_begins_no_more_trials_than_its_own_limit_however_many_devices_wait() -> None:
    driver, decided = run(3, 6, trials=2)

    begun = [trial for trial in driver.view().trials if trial.attempts]
    assert sorted(Counter(trial.arm for trial in begun).values()) == [2, 2]
    assert sum(isinstance(each, DropTrial) for each in decided) == 2
    assert sum(isinstance(each, Drain) for each in decided) == 2


def test_an_arm_puts_aside_a_trial_it_cannot_pay_to_the_end() -> None:
    # One after the other: a second slow trial would be cut off after 10.5 of its 13.5 seconds.
    driver, decided = run(2, 1, gpu_hours=24 / 3600)

    (dropped,) = [each for each in decided if isinstance(each, DropTrial)]
    assert "are left of the budget of its arm (budget.per_arm)" in dropped.reason
    assert spent(driver, SLOW) == pytest.approx(13.5, abs=0.01)
    assert spent(driver, FAST) == pytest.approx(18.0, abs=0.01)
