"""A clock that is set forward or back under a running sweep: nothing is lost or run twice."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from sweep.engine.replay import replay
from sweep.records.lifecycle import SweepState, TrialState
from sweep.replay.working import SimulatedClock
from tests.engine.scenarios import run_to_the_end, sweep_of
from tests.engine.simulation import SimulatedDriver, open_ledger

JUMPS = st.sampled_from([-86_400.0, -60.0, -1.0, 0.0, 29.0, 3_600.0, 86_400.0])


def jump(driver: SimulatedDriver, seconds: float) -> None:
    """Set the clock; what trials have done stays done."""
    driver.clock.now += seconds
    for work in driver.running.values():
        work.started += seconds


@settings(max_examples=25, deadline=None)
@given(jumps=st.lists(JUMPS, min_size=1, max_size=4), gangs=st.lists(st.integers(1, 2), max_size=4))
def test_a_sweep_outlives_its_clock_being_set(jumps: list[float], gangs: list[int]) -> None:
    clock = SimulatedClock()
    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder), clock) as ledger:
        sweep = sweep_of(ledger, clock, 1, 2, *gangs)
        driver = SimulatedDriver(sweep)
        driver.look()
        for seconds in jumps:
            clock.now += 2.0
            driver.step()
            jump(driver, seconds)
        ended = run_to_the_end(driver)
        identities = [trial.identity for trial in sweep.trials]
        attempts = ledger.attempts(identities)
        spent = ledger.spent(sweep.sweep_id)
        moments = list(replay(sweep.fold(), ledger.events(limit=None, sweep_id=sweep.sweep_id)))

    assert ended.state is SweepState.SUCCEEDED
    assert sorted(one.identity for one in attempts) == sorted(identities)
    assert all(one.state == TrialState.SUCCEEDED for one in attempts)
    assert all(moment.agrees for moment in moments)
    # A clock set forward is charged as time that passed, one set back is never paid out.
    forward = sum(seconds for seconds in jumps if seconds > 0)
    assert (
        0.0
        <= spent.device_seconds
        <= sum(trial.workers * (trial.seconds.mid + 2.0) for trial in sweep.trials)
        + driver.sweep.capacity * forward
    )
