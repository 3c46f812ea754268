"""`Purse`: what is left of a budget once everything that runs has been paid to its expected end.

It refuses only by what was measured: before a trial has finished here, estimates refuse nobody.
"""

from __future__ import annotations

from sweep.engine.budgets.budget import (
    device_seconds_limit,
    verdict,
    wall_seconds_limit,
)
from sweep.engine.budgets.parts import Part
from sweep.engine.view import SweepView, TrialStanding


class Purse:
    """Of a sweep, or of a stage or an arm of it."""

    def __init__(self, part: Part, view: SweepView) -> None:
        """What is left of the budget of a sweep, a stage or an arm, once what runs is paid."""
        budget, spent = part.budget, part.spent
        self.part = part
        self._budget = budget
        self._pace = view.pace
        # Whoever begins an arm's trials at a rung begins all: they are refused by who closes it.
        self._whole_arms = part.is_part and bool(view.scheduler.rungs)
        self._new_trials = spent.trials_started
        found = verdict(budget, spent, where=part.where)
        self._drained = found.reason if found.allowance == "drain" else ""
        limit = device_seconds_limit(budget)
        running = (trial for trial in view.running_here if part.holds(trial))
        committed = sum(self._expected(trial) * trial.workers for trial in running)
        self._devices = None if limit is None else limit - spent.device_seconds - committed
        wall = wall_seconds_limit(budget)
        self._wall = None if wall is None else wall - spent.wall_seconds

    def only_new_trials_are_refused(self, trial: TrialStanding) -> bool:
        """Whether a trial that was begun earlier may still go on where this one may not."""
        return self._too_many(trial) or self._too_late(trial)

    def objection(self, trial: TrialStanding) -> str:
        """Why the budget does not allow the trial; empty when it does."""
        if self._too_many(trial):
            return f"{self.part.where}.trials is {self._budget.trials}, and that many were started"
        if self._too_late(trial):
            return self._drained
        seconds = self._expected(trial)
        cost = seconds * trial.workers
        if self._devices is not None and (self._devices <= 0 or cost > self._devices):
            return (
                f"{trial.arm} seed {trial.seed} needs about {cost / 3600:.3g} device-hours, "
                f"{max(0.0, self._devices) / 3600:.3g} are left of the {self.part.name}"
            )
        if self._wall is not None and seconds > self._wall:
            return (
                f"{trial.arm} seed {trial.seed} takes about {seconds / 3600:.3g} h, "
                f"{max(0.0, self._wall) / 3600:.3g} h are left of {self.part.where}.hours"
            )
        return ""

    def pay(self, trial: TrialStanding) -> None:
        """Set aside what the trial is expected to cost."""
        self._new_trials += not trial.claimed
        if self._devices is not None:
            self._devices -= self._expected(trial) * trial.workers

    def _too_many(self, trial: TrialStanding) -> bool:
        limit = self._budget.trials
        return self._is_new(trial) and limit is not None and self._new_trials >= limit

    def _too_late(self, trial: TrialStanding) -> bool:
        return self._is_new(trial) and bool(self._drained)

    def _is_new(self, trial: TrialStanding) -> bool:
        return not (trial.claimed or self._whole_arms)

    def _expected(self, trial: TrialStanding) -> float:
        """Seconds to where it may train to by now; 0 until a trial has finished here."""
        # An unproven estimate must not refuse anybody; a limit that is reached stops what runs.
        left = max(0.0, trial.goal - trial.kept)
        return 0.0 if self._pace is None else trial.seconds_estimate * self._pace * left
