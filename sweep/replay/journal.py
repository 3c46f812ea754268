"""`Journal`: the events a ledger would have written of one sweep, kept in memory without it.

A driver that writes here decides as one that writes to a ledger does, since decisions follow from
events alone (`tests/replay/test_journal.py` compares the two). It forgets everything with the
process and checks nothing a database would; it is for thousands of sweeps in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sweep.records.lifecycle import SweepState, TrialState, trial_states_before
from sweep.records.rows import ArmRow, Attempt, Event, Holder, Json, TrialRow
from trainer.reporting import CheckpointReference, TrialOutcome, TrialReport


class SweepRecord(Protocol):
    """The part of a ledger a driver of one sweep writes to and reads from."""

    def acquire_sweep(self, sweep_id: str, holder: Holder, ttl_seconds: float) -> None:
        """Make this driver the sweep's."""
        ...

    def release_sweep(self, sweep_id: str, holder: Holder) -> None:
        """Let go of it."""
        ...

    def set_sweep_state(self, sweep_id: str, state: SweepState, reason: str = "") -> None:
        """Move the sweep."""
        ...

    def add_trials(
        self, sweep_id: str, *, arms: Sequence[ArmRow] = (), trials: Sequence[TrialRow]
    ) -> int:
        """Add what the sweep does not have yet."""
        ...

    def claim(
        self,
        identity: str,
        sweep_id: str,
        holder: Holder,
        ttl_seconds: float,
        workers: float = 1,
        *,
        retry: bool = False,
    ) -> Attempt | None:
        """The right to run a trial."""
        ...

    def record_report(self, attempt_id: int, report: TrialReport) -> None:
        """What a running attempt said."""
        ...

    def finish_attempt(
        self,
        attempt_id: int,
        state: TrialState,
        outcome: TrialOutcome | None = None,
        error_kind: str | None = None,
        error_message: str | None = None,
        device_seconds: float | None = None,
    ) -> None:
        """How it ended."""
        ...

    def move_trial(
        self, identity: str, state: TrialState, *, sweep_id: str | None = None, reason: str = ""
    ) -> bool:
        """Move a trial nobody runs."""
        ...

    def record_decision(self, sweep_id: str, kind: str, payload: Json) -> int:
        """What the engine decided."""
        ...

    def events(
        self, after: int = 0, limit: int | None = 1000, *, sweep_id: str | None = None
    ) -> list[Event]:
        """What happened since."""
        ...


class Journal:
    """The events of one sweep that one driver drives."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: list[Event] = []
        self._trials: dict[str, TrialRow] = {}
        self._state: dict[str, TrialState] = {}
        self._checkpoint: dict[str, CheckpointReference] = {}
        self._fraction: dict[str, float] = {}
        self._attempts: list[Attempt] = []
        self._numbers: dict[str, int] = {}
        self._started: dict[int, float] = {}

    def acquire_sweep(self, sweep_id: str, holder: Holder, ttl_seconds: float) -> None:
        """As a ledger."""
        del ttl_seconds
        payload = {"driver": holder.driver, "host": holder.host, "pid": holder.pid}
        self._append("sweep_acquired", payload | {"taken_from": None}, sweep_id=sweep_id)

    def release_sweep(self, sweep_id: str, holder: Holder) -> None:
        """As a ledger."""
        payload = {"driver": holder.driver, "interrupted": False}
        self._append("sweep_released", payload, sweep_id=sweep_id)

    def set_sweep_state(self, sweep_id: str, state: SweepState, reason: str = "") -> None:
        """As a ledger."""
        payload = {"state": state.value, "reason": reason}
        self._append("sweep_state", payload, sweep_id=sweep_id)

    def add_trials(
        self, sweep_id: str, *, arms: Sequence[ArmRow] = (), trials: Sequence[TrialRow]
    ) -> int:
        """As a ledger."""
        del arms
        new = [trial for trial in trials if trial.identity not in self._trials]
        for trial in new:
            self._trials[trial.identity] = trial
            self._state[trial.identity] = TrialState.PENDING
        if new:
            payload: dict[str, Any] = {
                "trials": [[trial.identity, trial.arm, trial.seed] for trial in new]
            }
            self._append("trials_added", payload, sweep_id=sweep_id)
        return len(new)

    def claim(
        self,
        identity: str,
        sweep_id: str,
        holder: Holder,
        ttl_seconds: float,
        workers: float = 1,
        *,
        retry: bool = False,
    ) -> Attempt | None:
        """As a ledger whose other drivers are all dead."""
        del ttl_seconds
        if self._state[identity] not in trial_states_before(TrialState.RUNNING, retry=retry):
            return None
        trial = self._trials[identity]
        number = self._numbers[identity] = self._numbers.get(identity, 0) + 1
        checkpoint = self._checkpoint.get(identity)
        attempt = Attempt(
            attempt_id=len(self._attempts) + 1,
            identity=identity,
            sweep_id=sweep_id,
            number=number,
            arm=trial.arm,
            seed=trial.seed,
            workers=workers,
            config_json=trial.config_json,
            resume_from=checkpoint,
            fraction=self._fraction.get(identity, 0.0),
            storage="",
        )
        self._attempts.append(attempt)
        self._started[attempt.attempt_id] = self._clock()
        self._state[identity] = TrialState.RUNNING
        self._append(
            "attempt_started", attempt.started_by(holder), sweep_id=sweep_id, identity=identity
        )
        return attempt

    def record_report(self, attempt_id: int, report: TrialReport) -> None:
        """As a ledger."""
        attempt = self._attempts[attempt_id - 1]
        payload: dict[str, Any] = {
            "attempt": attempt_id,
            "step": report.step,
            "fraction": report.fraction,
            "seconds": report.seconds,
            "metrics": report.metrics,
        }
        if report.checkpoint is not None:
            self._checkpoint[attempt.identity] = report.checkpoint
            payload |= {
                "checkpoint_step": report.checkpoint.step,
                "checkpoint_sha256": report.checkpoint.manifest_sha256,
            }
        self._fraction[attempt.identity] = report.fraction
        self._append("report", payload, sweep_id=attempt.sweep_id, identity=attempt.identity)

    def finish_attempt(
        self,
        attempt_id: int,
        state: TrialState,
        outcome: TrialOutcome | None = None,
        error_kind: str | None = None,
        error_message: str | None = None,
        device_seconds: float | None = None,
    ) -> None:
        """As a ledger."""
        attempt = self._attempts[attempt_id - 1]
        if device_seconds is None:
            device_seconds = (self._clock() - self._started[attempt_id]) * attempt.workers
        self._state[attempt.identity] = state
        payload: dict[str, Any] = {
            "attempt": attempt_id,
            "state": state.value,
            "device_seconds": device_seconds,
        }
        error = {"error_kind": error_kind, "error_message": error_message}
        payload |= {key: value for key, value in error.items() if value is not None}
        if outcome is not None:
            self._fraction[attempt.identity] = outcome.fraction
            payload["outcome"] = outcome.model_dump(mode="json")
        self._append(
            "attempt_finished", payload, sweep_id=attempt.sweep_id, identity=attempt.identity
        )

    def move_trial(
        self, identity: str, state: TrialState, *, sweep_id: str | None = None, reason: str = ""
    ) -> bool:
        """As a ledger."""
        allowed = trial_states_before(state)
        if self._state[identity] is TrialState.RUNNING or self._state[identity] not in allowed:
            return False
        self._state[identity] = state
        payload = {"state": state.value, "reason": reason}
        self._append("trial_moved", payload, sweep_id=sweep_id, identity=identity)
        return True

    def record_decision(self, sweep_id: str, kind: str, payload: Json) -> int:
        """As a ledger."""
        said = {"kind": kind, "decision": dict(payload)}
        return self._append("decision", said, sweep_id=sweep_id)

    def events(
        self, after: int = 0, limit: int | None = 1000, *, sweep_id: str | None = None
    ) -> list[Event]:
        """As a ledger; there is one sweep, so all events are its own."""
        del sweep_id
        return self._events[after : None if limit is None else after + limit]

    def _append(
        self, kind: str, payload: Json, *, sweep_id: str | None, identity: str | None = None
    ) -> int:
        seq = len(self._events) + 1
        self._events.append(
            Event(
                seq=seq,
                time=self._clock(),
                kind=kind,
                sweep_id=sweep_id,
                identity=identity,
                payload=payload,
            )
        )
        return seq
