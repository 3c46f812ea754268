"""`Tally`: what a sweep has cost and how its attempts ended, as its events tell."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweep.engine.budgets.budget import BudgetState, WallClock
from sweep.engine.view import Observation, TrialStanding
from sweep.records.lifecycle import TrialState

_FIRST_ENDS = 3


class Tally:
    """Costs, failures and measured pace of one sweep."""

    def __init__(self) -> None:
        self.wall = WallClock()
        self.executed: set[str] = set()
        self.first_ends: tuple[str, ...] = ()
        """How the first attempts since the sweep was last started ended."""
        self.last_failure = ""
        self._device_seconds = 0.0
        self._failures = 0
        self._paces: list[float] = []

    def start_anew(self) -> None:
        """Forget failures: whoever starts a sweep again gives it another chance."""
        self._failures = 0
        self.first_ends = ()

    def pay(self, device_seconds: float) -> None:
        """An attempt this sweep pays for has ended."""
        self._device_seconds += device_seconds

    def note_end(self, said: Mapping[str, Any], *, faults: int) -> None:
        """How an attempt of this sweep ended, and whether that counts against its trial."""
        failed = said["state"] == TrialState.FAILED
        end = failure_kind(said) if failed else "ok"
        self.first_ends = (*self.first_ends, end)[:_FIRST_ENDS]
        if not failed:
            return
        self._failures += faults
        message = str(said.get("error_message") or "").strip()
        first_line = next(iter(message.splitlines()), "")
        self.last_failure = f"{end}: {first_line}" if first_line else end

    def note_success(self, trial: TrialStanding) -> None:
        """A trial has succeeded; its pace counts if this sweep paid for all of it."""
        planned = trial.seconds_estimate * trial.workers
        if trial.shared or not trial.attempts or planned <= 0 or trial.device_seconds <= 0:
            return
        bisect.insort(self._paces, trial.device_seconds / planned)

    @property
    def pace(self) -> float | None:
        """Measured over planned device time, median; None before a trial has finished here."""
        return _median(self._paces)

    def spent(self, in_flight: Iterable[TrialStanding], observation: Observation) -> BudgetState:
        """Everything up to now, running attempts included."""
        seconds = self._device_seconds
        devices = 0
        for trial in in_flight:
            if not trial.ours or trial.started is None:
                continue
            if trial.driver == observation.driver:
                seconds += max(0.0, observation.now - trial.started) * trial.workers
                devices += trial.workers
            else:
                # Its driver died; the ledger says what it cost once the trial is taken over.
                seconds += trial.seconds * trial.workers
        return BudgetState(
            device_seconds=seconds,
            wall_seconds=self.wall.seconds(observation.now),
            running_devices=devices,
            trials_started=len(self.executed),
            failures=self._failures,
        )


def failure_kind(said: Mapping[str, Any]) -> str:
    """Why an attempt failed, by its event."""
    return str(said.get("error_kind") or "bug")


def _median(ordered: Sequence[float]) -> float | None:
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
