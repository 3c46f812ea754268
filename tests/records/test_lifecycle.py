"""The moves of trials, as a state machine played against a real ledger."""

from __future__ import annotations

import tempfile

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from infra.errors import BusyError
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import (
    ATTEMPT_END_STATES,
    ENDED_SWEEP_STATES,
    SWEEP_MOVES,
    TRIAL_MOVES,
    SweepState,
    TrialState,
    sweep_states_before,
    trial_states_before,
)
from sweep.records.rows import Attempt
from sweep.replay.working import SimulatedClock
from tests.records.rows import TTL, identity_of, outcome, register, report, stranger

SWEEP = "head-1a2b3c4d"
DRIVERS = ["one", "two", "three"]


def test_a_succeeded_trial_never_moves_again() -> None:
    assert not TRIAL_MOVES[TrialState.SUCCEEDED]


def test_every_state_is_drawn_and_can_be_reached_from_pending() -> None:
    assert set(TRIAL_MOVES) == set(TrialState)
    assert set(SWEEP_MOVES) == set(SweepState)
    reached = {TrialState.PENDING}
    while grown := {to for state in reached for to in TRIAL_MOVES[state]} - reached:
        reached |= grown
    assert reached == set(TrialState)


def test_a_failed_trial_is_left_for_running_only_by_a_retry() -> None:
    assert TrialState.FAILED in trial_states_before(TrialState.RUNNING)
    assert TrialState.FAILED not in trial_states_before(TrialState.RUNNING, retry=False)


def test_every_ended_sweep_may_be_resumed() -> None:
    assert set(sweep_states_before(SweepState.RUNNING)) == {
        SweepState.PENDING,
        *ENDED_SWEEP_STATES,
    }


class LedgerMachine(RuleBasedStateMachine):
    """Three drivers on one trial; the model is the state and who runs it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = SimulatedClock()
        self.folder = tempfile.TemporaryDirectory(prefix="ledger-")
        self.ledger = Ledger.open(f"sqlite:///{self.folder.name}/ledger.db", clock=self.clock)
        self.state = TrialState.PENDING
        self.attempts: list[tuple[str, Attempt]] = []
        self.alive_until: dict[str, float] = {}
        self.step = 0

    @initialize()
    def register(self) -> None:
        """One trial, unclaimed."""
        register(self.ledger, SWEEP, count=1)

    def runner_lives(self) -> bool:
        """Whether the trial runs under a driver whose heartbeat has not lapsed."""
        return (
            self.state is TrialState.RUNNING
            and self.alive_until[self.attempts[-1][0]] > self.clock.now
        )

    @rule(driver=st.sampled_from(DRIVERS), retry=st.booleans())
    def claim(self, driver: str, retry: bool) -> None:
        """A driver asks for the trial and gets it exactly when the model says so."""
        self.alive_until[driver] = self.clock.now + TTL  # to claim is a sign of life
        lost = self.state is TrialState.RUNNING and not self.runner_lives()
        free = lost or self.state in trial_states_before(TrialState.RUNNING, retry=retry)

        attempt = self.ledger.claim(identity_of(0), SWEEP, stranger(driver), TTL, retry=retry)

        assert (attempt is not None) == free
        if attempt is not None:
            self.attempts.append((driver, attempt))
            self.state = TrialState.RUNNING
            assert attempt.number == len(self.attempts)

    @rule(seconds=st.sampled_from([1.0, TTL / 2, TTL + 1]))
    def wait(self, seconds: float) -> None:
        """Time passes without a sign of life."""
        self.clock.now += seconds

    @rule(driver=st.sampled_from(DRIVERS))
    def heartbeat(self, driver: str) -> None:
        """A driver shows that it lives."""
        self.ledger.heartbeat(stranger(driver), TTL)
        self.alive_until[driver] = self.clock.now + TTL

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        """Any attempt, also one that was lost, speaks; only the running one is heard."""
        index = data.draw(st.integers(0, len(self.attempts) - 1))
        heard = self.state is TrialState.RUNNING and index == len(self.attempts) - 1
        try:
            self.ledger.record_report(self.attempts[index][1].attempt_id, report(self.step + 1))
        except BusyError:
            assert not heard
        else:
            assert heard
            self.step += 1

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), goal=st.sampled_from(sorted(ATTEMPT_END_STATES)))
    def finish(self, data: st.DataObject, goal: TrialState) -> None:
        """Any attempt ends; only the running one, or one that ended just so, is heard."""
        index = data.draw(st.integers(0, len(self.attempts) - 1))
        attempt = self.attempts[index][1]
        ended = {view.attempt_id: view.state for view in self.ledger.attempts([identity_of(0)])}
        heard = self.state is TrialState.RUNNING and index == len(self.attempts) - 1
        result = outcome(self.step) if goal is TrialState.SUCCEEDED else None
        try:
            self.ledger.finish_attempt(attempt.attempt_id, goal, result)
        except BusyError:
            assert not heard
        else:
            assert heard or ended[attempt.attempt_id] == goal
            self.state = goal if heard else self.state

    @rule(goal=st.sampled_from([TrialState.STOPPED_EARLY, TrialState.CANCELLED]))
    def move(self, goal: TrialState) -> None:
        """A sweep stops or cancels a trial while nobody runs it; a dead runner pauses it first."""
        if self.state is TrialState.RUNNING and not self.runner_lives():
            self.state = TrialState.PAUSED
        allowed = self.state is not TrialState.RUNNING and goal in TRIAL_MOVES[self.state]

        assert self.ledger.move_trial(identity_of(0), goal) == allowed

        self.state = goal if allowed else self.state

    @invariant()
    def ledger_agrees(self) -> None:
        """State, liveness and the log are what the model says; never two running attempts."""
        views = self.ledger.trials(SWEEP)
        if not views:
            return
        (view,) = views
        assert (view.state, view.step) == (self.state, self.step)
        assert view.live == self.runner_lives()
        at_work = self.ledger.at_work([identity_of(0), identity_of(1)])
        assert at_work == ({identity_of(0)} if self.runner_lives() else set())
        attempts = self.ledger.attempts([identity_of(0)])
        running = [attempt for attempt in attempts if attempt.state == TrialState.RUNNING]
        assert len(running) == (self.state is TrialState.RUNNING)
        seqs = [event.seq for event in self.ledger.events()]
        assert seqs == list(range(1, len(seqs) + 1))

    def teardown(self) -> None:
        """Close and remove the ledger."""
        self.ledger.close()
        self.folder.cleanup()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=20,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
