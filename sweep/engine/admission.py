"""Which trials may start now: devices, gangs that wait for theirs, and what the budget still holds.

Order is that of `SweepView.queue`. When the first trial in it does not fit the free devices,
smaller ones behind it fill them, but only a limited number of times, so that a large gang never
starves.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.engine.budgets.parts import Part, arm_part, stage_part, whole
from sweep.engine.budgets.purse import Purse
from sweep.engine.view import ROUNDING, SweepView, TrialStanding
from sweep.records.lifecycle import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who may start, and why nobody else may."""

    admitted: tuple[TrialStanding, ...]
    """In the order to start them; all fit the free devices together."""
    refused: str = ""
    """What the budget has against the next trial; empty when it has nothing."""
    oversized: TrialStanding | None = None
    """The first trial whose gang is larger than all devices together."""
    waiting: TrialStanding | None = None
    """The first trial that waits for devices."""
    beyond: tuple[Part, ...] = ()
    """Stages and arms whose next trial costs more than they have left."""


def admit(view: SweepView) -> Admission:
    """Choose from the trials that could start those that may."""
    running = view.running_here
    purses = _Purses(view)
    queue = _Queue(view, free=view.devices - sum(trial.workers for trial in running))
    for key in view.queue:
        if queue.closed or purses.closed:
            break
        trial = view.trials[key[-1]]
        if not view.startable(trial) or queue.is_oversized(trial):
            continue
        if purses.allow(trial) and queue.take(trial):
            purses.pay(trial)
    return Admission(
        admitted=tuple(queue.admitted),
        refused=purses.refused,
        oversized=queue.oversized,
        waiting=queue.blocked,
        beyond=tuple(purses.over.values()),
    )


class _Queue:
    """Free devices, handed out in order with limited overtaking."""

    def __init__(self, view: SweepView, *, free: float) -> None:
        self._view = view
        self._free = free
        self._overtakes = 0
        self.admitted: list[TrialStanding] = []
        self.blocked: TrialStanding | None = None
        self.oversized: TrialStanding | None = None

    @property
    def closed(self) -> bool:
        """Nobody further may start."""
        if self.blocked is None:
            return False
        return self._free <= ROUNDING or self._overtakes >= self._view.max_overtakes

    def is_oversized(self, trial: TrialStanding) -> bool:
        """Whether the gang can never fit; such a trial does not hold up the others."""
        if trial.workers <= self._view.devices:
            return False
        self.oversized = self.oversized or trial
        return True

    def take(self, trial: TrialStanding) -> bool:
        """Admit the trial if its gang fits what is free."""
        if trial.workers > self._free + ROUNDING:
            if self.blocked is None:
                self.blocked = trial
                some_free = self._free > ROUNDING
                self._overtakes = _times_overtaken(self._view, trial) if some_free else 0
            return False
        self._overtakes += self.blocked is not None
        self._free -= trial.workers
        self.admitted.append(trial)
        return True


class _Purses:
    """The sweep's budget and those of stages and arms; a trial is paid for by all it belongs to."""

    def __init__(self, view: SweepView) -> None:
        self._view = view
        self._whole = Purse(whole(view), view)
        self._parts: dict[int | str, Purse | None] = {}
        """By number of stage and by arm."""
        self.over: dict[int | str, Part] = {}
        """Those whose next trial costs more than they have left: nobody overtakes it."""
        self.refused = ""
        """The first objection."""
        self.closed = False
        """Nobody further may start."""

    def allow(self, trial: TrialStanding) -> bool:
        """Whether the trial may start."""
        objection = self._whole.objection(trial)
        if objection:
            self.closed = not self._whole.only_new_trials_are_refused(trial)
        for key in (trial.stage, trial.arm):
            purse = None if objection else self._of(key)
            if purse is None:
                continue
            if key in self.over:
                return False
            objection = purse.objection(trial)
            if objection and not purse.only_new_trials_are_refused(trial):
                self.over[key] = purse.part
        self.refused = self.refused or objection
        return not objection

    def pay(self, trial: TrialStanding) -> None:
        """Set aside what the trial is expected to cost."""
        for purse in (self._whole, self._of(trial.stage), self._of(trial.arm)):
            if purse is not None:
                purse.pay(trial)

    def _of(self, key: int | str) -> Purse | None:
        if key not in self._parts:
            view = self._view
            part = stage_part(view, key) if isinstance(key, int) else arm_part(view, key)
            self._parts[key] = None if part is None else Purse(part, view)
        return self._parts[key]


def _times_overtaken(view: SweepView, trial: TrialStanding) -> int:
    """How many trials behind this one were started since it could have been."""
    return sum(
        other.claimed > trial.waiting_since
        for other in view.trials[trial.position + 1 :]
        if other.state is not TrialState.PENDING
    )
