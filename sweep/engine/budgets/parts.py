"""`Part`: who has a budget: the sweep, a stage of it, an arm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sweep.engine.budgets.budget import BudgetState, part_budget
from sweep.engine.view import SweepView, TrialStanding
from sweep.spec.sweep_spec import BudgetSpec

PER_ARM = "budget.per_arm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What may be spent on some of a sweep's trials, or on all, and what was."""

    budget: BudgetSpec
    spent: BudgetState
    where: str = "budget"
    """Its place in the sweep file."""
    stage: int | None = None
    """Number of the stage; None for an arm, or the whole sweep."""
    arm: str | None = None

    def holds(self, trial: TrialStanding) -> bool:
        """Whether a trial is paid from it."""
        if self.arm is not None:
            return trial.arm == self.arm
        return self.stage is None or trial.stage == self.stage

    def limit(self, name: str) -> str:
        """One of its limits as the log names it: of an arm, with the arm."""
        return name if self.arm is None else f"{name} of {self.arm}"

    @property
    def is_part(self) -> bool:
        """Whether it is less than the sweep."""
        return self.arm is not None or self.stage is not None

    @property
    def name(self) -> str:
        """Of its budget, in words."""
        if not self.is_part:
            return self.where
        return f"budget of its {'stage' if self.arm is None else 'arm'} ({self.where})"


def whole(view: SweepView) -> Part:
    """All of the sweep."""
    return Part(budget=view.budget, spent=view.spent)


def stage_part(view: SweepView, number: int) -> Part | None:
    """A stage with a budget of its own."""
    if not number < len(view.stages):
        return None
    name = view.stages[number]
    own = view.budget.per_stage.get(name)
    if own is None:
        return None
    return Part(
        budget=part_budget(view.budget, own),
        spent=view.spent_by_stage.get(number, BudgetState()),
        where=f"budget.per_stage.{name}",
        stage=number,
    )


def arm_part(view: SweepView, arm: str) -> Part | None:
    """An arm, where arms have budgets of their own."""
    if not view.budget.limits_arms:
        return None
    return _of_arm(view, arm, part_budget(view.budget, view.budget.per_arm))


def _of_arm(view: SweepView, arm: str, own: BudgetSpec) -> Part:
    spent = view.spent_by_arm.get(arm, BudgetState())
    return Part(budget=own, spent=spent, where=PER_ARM, arm=arm)


def begun_parts(view: SweepView) -> Iterator[tuple[Part, list[TrialStanding]]]:
    """Those that have spent something, each with its trials for which something is to be done.

    An arm of which nothing is left, or that was stopped, is none.
    """
    for number in range(len(view.stages)):
        part = stage_part(view, number)
        if part is not None and number in view.spent_by_stage:
            yield part, _left(view, part)
    if not view.budget.limits_arms or not view.open_trials:
        return
    left: dict[str, list[TrialStanding]] = defaultdict(list)
    stopped = set()
    for trial in view.trials:
        if trial.stopped:
            stopped.add(trial.arm)
        elif trial.arm in view.spent_by_arm and not trial.settled:
            left[trial.arm].append(trial)
    own = part_budget(view.budget, view.budget.per_arm)  # made once: there may be thousands
    for arm, trials in left.items():
        if arm not in stopped:
            yield _of_arm(view, arm, own), trials


def _left(view: SweepView, part: Part) -> list[TrialStanding]:
    if not view.open_trials:
        return []
    return [trial for trial in view.trials if part.holds(trial) and not trial.settled]
