"""Which trials may start now: devices, gangs that wait for theirs, and what the budget still holds.

Order is that of `SweepView.queue`. When the first trial in it does not fit the free devices,
smaller ones behind it fill them, but only a limited number of times, so that a large gang never
starves.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.engine.budgets.budget import device_seconds_limit, verdict, wall_seconds_limit
from sweep.engine.view import SweepView, TrialStanding
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


def admit(view: SweepView) -> Admission:
    """Choose from the trials that could start those that may."""
    running = view.running_here
    purse = _Purse(view, running)
    queue = _Queue(view, free=view.devices - sum(trial.workers for trial in running))
    refused = ""
    for key in view.queue:
        if queue.closed:
            break
        trial = view.trials[key[-1]]
        if not view.startable(trial) or queue.is_oversized(trial):
            continue
        objection = purse.objection(trial)
        if objection and purse.only_new_trials_are_refused(trial):
            refused = refused or objection
            continue
        if objection:
            refused = objection
            break
        if queue.take(trial):
            purse.pay(trial)
    return Admission(
        admitted=tuple(queue.admitted),
        refused=refused,
        oversized=queue.oversized,
        waiting=queue.blocked,
    )


class _Queue:
    """Free devices, handed out in order with limited overtaking."""

    def __init__(self, view: SweepView, *, free: int) -> None:
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
        return self._free <= 0 or self._overtakes >= self._view.max_overtakes

    def is_oversized(self, trial: TrialStanding) -> bool:
        """Whether the gang can never fit; such a trial does not hold up the others."""
        if trial.workers <= self._view.devices:
            return False
        self.oversized = self.oversized or trial
        return True

    def take(self, trial: TrialStanding) -> bool:
        """Admit the trial if its gang fits what is free."""
        if trial.workers > self._free:
            if self.blocked is None:
                self.blocked = trial
                self._overtakes = _times_overtaken(self._view, trial) if self._free > 0 else 0
            return False
        self._overtakes += self.blocked is not None
        self._free -= trial.workers
        self.admitted.append(trial)
        return True


class _Purse:
    """What is left of the budget once everything that runs has been paid to its expected end."""

    def __init__(self, view: SweepView, running: tuple[TrialStanding, ...]) -> None:
        self._view = view
        self._new_trials = view.spent.trials_started
        found = verdict(view.budget, view.spent)
        self._drained = found.reason if found.allowance == "drain" else ""
        limit = device_seconds_limit(view.budget)
        committed = sum(self._expected(trial) * trial.workers for trial in running)
        self._devices = None if limit is None else limit - view.spent.device_seconds - committed
        wall = wall_seconds_limit(view.budget)
        self._wall = None if wall is None else wall - view.spent.wall_seconds

    def only_new_trials_are_refused(self, trial: TrialStanding) -> bool:
        """Whether a trial that was begun earlier may still go on where this one may not."""
        return self._too_many(trial) or bool(self._drained and not trial.claimed)

    def objection(self, trial: TrialStanding) -> str:
        """Why the budget does not allow the trial; empty when it does."""
        budget = self._view.budget
        if self._too_many(trial):
            return f"budget.trials is {budget.trials}, and that many were started"
        if self._drained and not trial.claimed:
            return self._drained
        seconds = self._expected(trial)
        cost = seconds * trial.workers
        if self._devices is not None and (self._devices <= 0 or cost > self._devices):
            return (
                f"{trial.arm} seed {trial.seed} needs about {cost / 3600:.3g} device-hours, "
                f"{max(0.0, self._devices) / 3600:.3g} are left of the budget"
            )
        if self._wall is not None and seconds > self._wall:
            return (
                f"{trial.arm} seed {trial.seed} takes about {seconds / 3600:.3g} h, "
                f"{max(0.0, self._wall) / 3600:.3g} h are left of budget.hours"
            )
        return ""

    def pay(self, trial: TrialStanding) -> None:
        """Set aside what the trial is expected to cost."""
        self._new_trials += not trial.claimed
        if self._devices is not None:
            self._devices -= self._expected(trial) * trial.workers

    def _too_many(self, trial: TrialStanding) -> bool:
        limit = self._view.budget.trials
        return limit is not None and not trial.claimed and self._new_trials >= limit

    def _expected(self, trial: TrialStanding) -> float:
        """Seconds to where it may train to by now; 0 until a trial has finished here."""
        # An unproven estimate must not refuse anybody; a limit that is reached stops what runs.
        pace = self._view.pace
        left = max(0.0, trial.goal - trial.fraction)
        return 0.0 if pace is None else trial.seconds_estimate * pace * left


def _times_overtaken(view: SweepView, trial: TrialStanding) -> int:
    """How many trials behind this one were started since it could have been."""
    return sum(
        other.claimed > trial.waiting_since
        for other in view.trials[trial.position + 1 :]
        if other.state is not TrialState.PENDING
    )
