"""Sweeps that are killed, stopped and shared at random, checked against what is promised."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sweep.engine.replay import replay
from sweep.engine.view import PAUSES, RETRYABLE_KINDS
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState, TrialState
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import BudgetSpec
from tests.engine.simulation import (
    TTL,
    SimulatedDriver,
    SimulatedSweep,
    distinct,
    open_ledger,
    planned,
)

INTERVAL = 5.0
"""Longest time between two reports, in seconds."""
CAPACITY = 3


class Sweeps(RuleBasedStateMachine):
    """Two sweeps that share some trials, driven by drivers that may die at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="ledger-")
        self.clock = SimulatedClock()
        self.ledger = open_ledger(Path(self.folder.name), self.clock)
        self.sweeps: list[SimulatedSweep] = []
        self.drivers: list[SimulatedDriver | None] = []
        self.succeeded: set[str] = set()
        self.begun: list[float] = []
        """When sweeps were started, which forgets what failed before."""

    @initialize(
        seconds=st.lists(st.floats(1.0, 20.0), min_size=3, max_size=6),
        workers=st.lists(st.integers(1, CAPACITY), min_size=6, max_size=6),
        truth=st.floats(0.3, 3.0),
        limits=st.tuples(
            st.none() | st.floats(0.002, 0.02),
            st.none() | st.floats(0.005, 0.03),
            st.none() | st.integers(2, 5),
        ),
    )
    def register(
        self,
        seconds: list[float],
        workers: list[int],
        truth: float,
        limits: tuple[float | None, float | None, int | None],
    ) -> None:
        trials = [
            planned(distinct("trial"), seconds=each, workers=gang)
            for each, gang in zip(seconds, workers, strict=False)
        ]
        real = {trial.identity: trial.seconds.mid * truth for trial in trials}
        budget = BudgetSpec(gpu_hours=limits[0], hours=limits[1], failures=limits[2])
        for part, allowed in ((trials, budget), (trials[::2], BudgetSpec())):
            sweep = SimulatedSweep(
                self.ledger,
                self.clock,
                part,
                capacity=CAPACITY,
                budget=allowed,
                real_seconds=real,
            )
            self.sweeps.append(sweep)
            self.drivers.append(None)

    @rule(which=st.integers(0, 1))
    def start(self, which: int) -> None:
        driver = self.drivers[which]
        if driver is None or driver.ended is not None:
            new = SimulatedDriver(self.sweeps[which])
            self.begun.append(self.clock.now)
            new.look()
            self.drivers[which] = new

    @rule(seconds=st.floats(0.1, INTERVAL))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        for driver in self.drivers:
            if driver is not None:
                driver.step()

    @rule(
        which=st.integers(0, 1),
        kind=st.sampled_from(["bug", "diverged", *sorted(RETRYABLE_KINDS)]),
    )
    def a_trial_fails(self, which: int, kind: str) -> None:
        driver = self.drivers[which]
        if driver is not None and driver.running:
            next(iter(driver.running.values())).failure = kind

    @precondition(lambda self: any(self.drivers))
    @rule(which=st.integers(0, 1))
    def a_driver_is_killed(self, which: int) -> None:
        self.drivers[which] = None
        for _ in range(1 + int(TTL / INTERVAL)):  # until the ledger holds it for dead
            self.time_passes(INTERVAL)

    @rule(which=st.integers(0, 1))
    def the_user_stops_a_sweep(self, which: int) -> None:
        self.ledger.request_stop(self.sweeps[which].sweep_id)

    @invariant()
    def no_identity_runs_twice_at_once(self) -> None:
        running = [
            identity for driver in self.drivers if driver is not None for identity in driver.running
        ]
        assert len(running) == len(set(running))

    @invariant()
    def devices_are_never_overbooked(self) -> None:
        for driver in self.drivers:
            if driver is not None:
                used = sum(work.attempt.workers for work in driver.running.values())
                assert used <= CAPACITY

    @invariant()
    def what_succeeded_stays_and_is_never_run_again(self) -> None:
        now = {
            trial.identity
            for sweep in self.sweeps
            for trial in self.ledger.trials(sweep.sweep_id)
            if trial.state is TrialState.SUCCEEDED
        }
        assert self.succeeded <= now
        self.succeeded = now
        attempts = self.ledger.attempts(now)
        assert all(attempt.state != TrialState.RUNNING for attempt in attempts)

    @invariant()
    def the_budget_is_overshot_by_one_report_at_most(self) -> None:
        for sweep in self.sweeps:
            limit = sweep.budget.gpu_hours
            if limit is not None:
                spent = self.ledger.spent(sweep.sweep_id).device_seconds
                assert spent <= limit * 3600 + INTERVAL * CAPACITY

    @invariant()
    def a_failed_machine_is_given_its_pause(self) -> None:
        identities = {trial.identity for sweep in self.sweeps for trial in sweep.trials}
        attempts = self.ledger.attempts(identities)
        for identity in identities:
            of_one = [each for each in attempts if each.identity == identity]
            for before, later in itertools.pairwise(of_one):
                failure = before.error_kind if before.state == TrialState.FAILED else None
                pause = PAUSES.get(failure or "", (0.0,))[0]
                ended = before.ended or later.started
                anew = any(ended <= begun <= later.started for begun in self.begun)
                assert anew or later.started >= ended + pause

    def teardown(self) -> None:
        try:
            if self.sweeps:
                self._run_to_the_end()
                self._check()
        finally:
            self.ledger.close()
            self.folder.cleanup()

    def _run_to_the_end(self) -> None:
        for which in range(len(self.sweeps)):
            self.start(which)
        for _ in range(200):
            if all(driver is not None and driver.ended for driver in self.drivers):
                return
            self.time_passes(INTERVAL)
        raise AssertionError("the sweeps never end")

    def _check(self) -> None:
        for sweep, driver in zip(self.sweeps, self.drivers, strict=True):
            assert driver is not None
            view = driver.view()
            for mine, theirs in zip(view.trials, self.ledger.trials(sweep.sweep_id), strict=True):
                assert (mine.identity, mine.state) == (theirs.identity, theirs.state)
                assert mine.resumable == (theirs.checkpoint is not None)
                assert mine.fraction == theirs.fraction
            spent = self.ledger.spent(sweep.sweep_id)
            assert abs(view.spent.device_seconds - spent.device_seconds) < 1e-6
            assert view.spent.trials_started == spent.trials_started
            assert view.state in ENDED_SWEEP_STATES
            if view.state is SweepState.SUCCEEDED:
                assert all(trial.state is TrialState.SUCCEEDED for trial in view.trials)
            assert view.unsettled == tuple(t for t in view.trials if not t.settled)
            again = list(replay(sweep.fold(), self.ledger.events(limit=100_000)))
            assert again
            assert all(moment.agrees for moment in again)


TestSweeps = Sweeps.TestCase
TestSweeps.settings = settings(
    max_examples=8,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
