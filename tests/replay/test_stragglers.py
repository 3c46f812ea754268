"""Some trainings are many times slower than their curves say: nothing waits for them for ever."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from sweep.engine.fold import SweepFold
from sweep.engine.replay import replay
from sweep.records.lifecycle import TrialState
from sweep.replay.curves import CurveTable
from sweep.replay.driving import SimulatedDriver
from sweep.replay.planning import plan_replay
from sweep.replay.replaying import journal_of
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import SweepSpec
from tests.replay.tables import random_table, spec_of, table_of

ASHA = {"kind": "asha", "reduction": 3, "first": "1/9"}


def run(
    spec: SweepSpec, table: CurveTable, *, share: float, factor: float, seed: int, workers: int
) -> tuple[SimulatedDriver, float]:
    """A sweep of which this share of attempts is so many times slower, and how long it took."""
    plan, clock = plan_replay(spec, table), SimulatedClock()
    journal = journal_of(plan, clock)

    def slowness(identity: str, attempt: int) -> float:
        drawn = np.random.default_rng([seed, attempt, int(identity[:8], 16)]).random()
        return factor if drawn < share else 1.0

    driver = SimulatedDriver(plan, journal, clock, workers=workers)
    driver.slowness = slowness
    began = clock.now
    driver.run()
    again = SweepFold(plan.sweep_id, plan.trials, spec)
    assert all(moment.agrees for moment in replay(again, journal.events(limit=None)))
    return driver, clock.now - began


@given(share=st.floats(0.1, 0.9), factor=st.floats(1.5, 30.0), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_fixed_design_ends_in_the_same_table_however_slow_some_of_it_is(
    share: float, factor: float, seed: int
) -> None:
    table, spec = random_table(6, seeds=2, seed=seed), spec_of(2)

    plain, usual = run(spec, table, share=0.0, factor=1.0, seed=seed, workers=3)
    slow, longer = run(spec, table, share=share, factor=factor, seed=seed, workers=3)

    def reached(driver: SimulatedDriver) -> dict[str, dict[str, float]]:
        return {trial.identity: dict(trial.metrics) for trial in driver.view().trials}

    assert all(trial.settled for trial in slow.view().trials)
    assert reached(slow) == reached(plain)
    assert usual - 1e-6 <= longer <= factor * usual * 2
    assert slow.view().spent.device_seconds >= plain.view().spent.device_seconds - 1e-6


@given(factor=st.floats(2.0, 50.0), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_with_rungs_the_others_go_on_while_a_straggler_is_on_its_way(
    factor: float, seed: int
) -> None:
    table, spec = random_table(12, seed=seed), spec_of(scheduler=ASHA)

    driver, _ = run(spec, table, share=0.2, factor=factor, seed=seed, workers=4)

    states = [trial.state for trial in driver.view().trials]
    assert TrialState.SUCCEEDED in states
    assert set(states) <= {TrialState.SUCCEEDED, TrialState.STOPPED_EARLY, TrialState.FAILED}


def test_a_limit_of_wall_clock_ends_a_straggler_where_it_stands() -> None:
    table, spec = table_of([[0.5], [0.6]]), spec_of(budget={"hours": 30 / 3600})

    driver, seconds = run(spec, table, share=1.0, factor=100.0, seed=0, workers=2)

    assert abs(seconds - 30) < 0.1
    assert all(trial.seconds_estimate > 0 for trial in driver.view().trials)
