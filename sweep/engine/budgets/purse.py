"""`Purse`: what is left of a budget once everything that runs has been paid to its expected end.

It refuses only by what was measured: before a trial has finished here, estimates refuse nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

from sweep.engine.budgets.budget import (
    BudgetState,
    device_seconds_limit,
    stage_budget,
    verdict,
    wall_seconds_limit,
)
from sweep.engine.view import SweepView, TrialStanding
from sweep.spec.sweep_spec import BudgetSpec


class Purse:
    """Of a sweep, or of one of its stages."""

    def __init__(
        self,
        budget: BudgetSpec,
        spent: BudgetState,
        running: Iterable[TrialStanding],
        *,
        pace: float | None,
        where: str = "budget",
        whole_arms: bool = False,
    ) -> None:
        """Prepare.

        Args:
            budget: What may be spent.
            spent: What was, up to now.
            running: Trials that will be paid from it.
            pace: Measured over planned time.
            where: The budget's place in the sweep file.
            whole_arms: Whoever begins an arm's trials begins all: new ones are refused by arm, by
                who closes it, and not here.
        """
        self._budget = budget
        self._pace = pace
        self._where = where
        self._whole_arms = whole_arms
        self._new_trials = spent.trials_started
        found = verdict(budget, spent, where=where)
        self._drained = found.reason if found.allowance == "drain" else ""
        limit = device_seconds_limit(budget)
        committed = sum(self._expected(trial) * trial.workers for trial in running)
        self._devices = None if limit is None else limit - spent.device_seconds - committed
        wall = wall_seconds_limit(budget)
        self._wall = None if wall is None else wall - spent.wall_seconds

    @classmethod
    def of_stage(cls, view: SweepView, number: int) -> Purse | None:
        """What is left of a stage's own budget; None where it has none."""
        if not number < len(view.stages):
            return None
        name = view.stages[number]
        budget = stage_budget(view.budget, name)
        if budget is None:
            return None
        return cls(
            budget,
            view.spent_by_stage.get(number, BudgetState()),
            [trial for trial in view.running_here if trial.stage == number],
            pace=view.pace,
            where=f"budget.per_stage.{name}",
            whole_arms=bool(view.scheduler.rungs),
        )

    def only_new_trials_are_refused(self, trial: TrialStanding) -> bool:
        """Whether a trial that was begun earlier may still go on where this one may not."""
        return self._too_many(trial) or self._too_late(trial)

    def objection(self, trial: TrialStanding) -> str:
        """Why the budget does not allow the trial; empty when it does."""
        if self._too_many(trial):
            return f"{self._where}.trials is {self._budget.trials}, and that many were started"
        if self._too_late(trial):
            return self._drained
        seconds = self._expected(trial)
        cost = seconds * trial.workers
        if self._devices is not None and (self._devices <= 0 or cost > self._devices):
            return (
                f"{trial.arm} seed {trial.seed} needs about {cost / 3600:.3g} device-hours, "
                f"{max(0.0, self._devices) / 3600:.3g} are left of the {self._name}"
            )
        if self._wall is not None and seconds > self._wall:
            return (
                f"{trial.arm} seed {trial.seed} takes about {seconds / 3600:.3g} h, "
                f"{max(0.0, self._wall) / 3600:.3g} h are left of {self._where}.hours"
            )
        return ""

    def pay(self, trial: TrialStanding) -> None:
        """Set aside what the trial is expected to cost."""
        self._new_trials += not trial.claimed
        if self._devices is not None:
            self._devices -= self._expected(trial) * trial.workers

    @property
    def _name(self) -> str:
        return "budget" if self._where == "budget" else f"budget of its stage ({self._where})"

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
        left = max(0.0, trial.goal - trial.fraction)
        return 0.0 if self._pace is None else trial.seconds_estimate * self._pace * left
