"""`Tally`: what a sweep has cost and how its attempts ended, as its events tell."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

from sweep.engine.budgets.budget import BudgetState, WallClock
from sweep.engine.fingerprints import fingerprint
from sweep.engine.view import AttemptEnd, Observation, TrialStanding
from sweep.records.lifecycle import TrialState

_FIRST_ENDS = 3
Key = TypeVar("Key")


@dataclass
class _Account:
    """What a sweep, or a stage or an arm of it, has paid for."""

    device_seconds: float = 0.0
    failures: int = 0
    executed: set[str] = field(default_factory=set)
    began: float | None = None
    """Wall seconds of the sweep before its first trial; of the whole sweep, none."""


class Tally:
    """Costs, failures and measured pace of one sweep; costs and failures also by stage and arm."""

    def __init__(self) -> None:
        self.wall = WallClock()
        self.first_ends: tuple[AttemptEnd, ...] = ()
        """How the first attempts since the sweep was last started ended."""
        self.last_failure = ""
        self._whole = _Account()
        self._stages: defaultdict[int, _Account] = defaultdict(_Account)
        self._arms: defaultdict[str, _Account] = defaultdict(_Account)
        self._paces: list[float] = []

    def start_anew(self) -> None:
        """Forget failures: whoever starts a sweep again gives it another chance."""
        for account in (self._whole, *self._stages.values(), *self._arms.values()):
            account.failures = 0
        self.first_ends = ()

    def begin(self, trial: TrialStanding, time: float) -> None:
        """An attempt this sweep pays for has begun."""
        for account in self._accounts(trial):
            if account.began is None and account is not self._whole:
                account.began = self.wall.seconds(time)
            account.executed.add(trial.identity)

    def pay(self, trial: TrialStanding, device_seconds: float) -> None:
        """An attempt this sweep pays for has ended."""
        for account in self._accounts(trial):
            account.device_seconds += device_seconds

    def note_end(self, trial: TrialStanding, said: Mapping[str, Any], *, faults: int) -> None:
        """How an attempt of this sweep ended, and whether that counts against its trial."""
        failed = said["state"] == TrialState.FAILED
        kind = failure_kind(said) if failed else "ok"
        message = str(said.get("error_message") or "").strip()
        end = AttemptEnd(kind, fingerprint(message) if failed else "")
        self.first_ends = (*self.first_ends, end)[:_FIRST_ENDS]
        if not failed:
            return
        for account in self._accounts(trial):
            account.failures += faults
        first_line = next(iter(message.splitlines()), "")
        self.last_failure = f"{kind}: {first_line}" if first_line else kind

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
        return self._state(self._whole, 0.0, in_flight, observation)

    def spent_by_stage(
        self, in_flight: Iterable[TrialStanding], observation: Observation
    ) -> dict[int, BudgetState]:
        """The same by stage, of those that have begun, in their order."""
        found = self._spent_by(self._stages, attrgetter("stage"), in_flight, observation)
        return dict(sorted(found.items()))

    def spent_by_arm(
        self, in_flight: Iterable[TrialStanding], observation: Observation
    ) -> dict[str, BudgetState]:
        """The same by arm."""
        return self._spent_by(self._arms, attrgetter("arm"), in_flight, observation)

    def _spent_by(
        self,
        accounts: Mapping[Key, _Account],
        key_of: Callable[[TrialStanding], Key],
        in_flight: Iterable[TrialStanding],
        observation: Observation,
    ) -> dict[Key, BudgetState]:
        running: defaultdict[Key, list[TrialStanding]] = defaultdict(list)
        for trial in in_flight:
            running[key_of(trial)].append(trial)
        return {
            key: self._state(account, account.began or 0.0, running.get(key, ()), observation)
            for key, account in accounts.items()
        }

    def _accounts(self, trial: TrialStanding) -> tuple[_Account, _Account, _Account]:
        return self._whole, self._stages[trial.stage], self._arms[trial.arm]

    def _state(
        self,
        account: _Account,
        began: float,
        in_flight: Iterable[TrialStanding],
        observation: Observation,
    ) -> BudgetState:
        seconds = account.device_seconds
        devices = 0.0
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
            wall_seconds=self.wall.seconds(observation.now) - began,
            running_devices=devices,
            trials_started=len(account.executed),
            failures=account.failures,
        )


def failure_kind(said: Mapping[str, Any]) -> str:
    """Why an attempt failed, by its event."""
    return str(said.get("error_kind") or "bug")


def _median(ordered: Sequence[float]) -> float | None:
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
