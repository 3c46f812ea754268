"""`Asked`: what is still to be trained by a plan, all stages together, and what that takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from search_spaces.points import BASELINE
from sweep.engine.budgets.budget import SECONDS_PER_HOUR
from sweep.engine.planning.early_stops import least_share
from sweep.engine.planning.plan import PlannedTrial, SweepPlan
from sweep.engine.planning.price import simulated_makespan
from sweep.spec.scheduler_spec import SchedulerSpec
from sweep.spec.sweep_spec import BudgetSpec

Trials = Sequence[PlannedTrial]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a budget and how to measure trials against it."""

    name: str
    allowed: float
    unit: str
    need: Callable[[Trials], float | None]
    """What these trials need at least; None when that cannot be told."""
    whole: Callable[[Trials], float | None]
    """The same if no arm is stopped early."""

    def fits(self, trials: Trials) -> bool:
        """Whether these trials can be trained within the limit."""
        needed = self.need(trials)
        return needed is not None and needed <= self.allowed


@dataclass(frozen=True, slots=True)
class Asked:
    """Trials that are not finished, by the middle of their estimates."""

    trials: Trials
    points: Mapping[str, Mapping[str, str]]
    """By arm."""
    stages: Mapping[str, int]
    """Number of its stage by identity, of those that stages add."""
    scheduler: SchedulerSpec

    @classmethod
    def of(cls, plan: SweepPlan) -> Asked:
        """What a plan asks for."""
        later = [each for each in plan.later if not each.trial.finished]
        return cls(
            trials=(*plan.to_execute, *(each.trial for each in later)),
            points={each.trial.arm: each.point for each in later}
            | {arm.name: arm.point for arm in plan.arms},
            stages={each.trial.identity: each.stage for each in later},
            scheduler=plan.spec.scheduler,
        )

    def of_stage(self, number: int) -> Trials:
        """Those no stage before it has trained."""
        return [trial for trial in self.trials if self.stages.get(trial.identity, 0) == number]

    def limits(self, budget: BudgetSpec, devices: int) -> Iterator[Limit]:
        """Those of a budget that can be held against trials."""
        price = budget.usd_per_gpu_hour
        if budget.trials is not None:
            yield Limit("trials", budget.trials, "trials", len, len)
        if budget.gpu_hours is not None:
            yield Limit(
                "gpu_hours", budget.gpu_hours, "device-hours", self._least_hours, device_hours
            )
        if budget.usd is not None and price is not None:
            yield Limit(
                "usd",
                budget.usd,
                "usd",
                lambda trials: self._least_hours(trials) * price,
                lambda trials: device_hours(trials) * price,
            )
        if budget.hours is not None:
            yield Limit(
                "hours",
                budget.hours,
                f"hours on {devices} device{'s' if devices > 1 else ''}",
                lambda trials: self.makespan_hours(trials, devices, least=True),
                lambda trials: self.makespan_hours(trials, devices),
            )

    def makespan_hours(self, trials: Trials, devices: int, *, least: bool = False) -> float | None:
        """Of some of these trials, stages one after the other; `least`: with early stops."""
        total = 0.0
        for own in self._by_stage(trials):
            span = simulated_makespan(
                ((trial.seconds.mid, trial.workers) for trial in own), devices=devices
            )
            if span is None:
                return None
            if least:  # the best arm is trained to its end
                shortest = min(trial.seconds.mid for trial in own)
                span = max(shortest, span * self._share(own))
            total += span
        return total / SECONDS_PER_HOUR

    def _least_hours(self, trials: Trials) -> float:
        return sum(device_hours(own) * self._share(own) for own in self._by_stage(trials))

    def _by_stage(self, trials: Trials) -> Sequence[Trials]:
        stages: dict[int, list[PlannedTrial]] = {}
        for trial in trials:
            stages.setdefault(self.stages.get(trial.identity, 0), []).append(trial)
        return list(stages.values())

    def _share(self, trials: Trials) -> float:
        arms = {trial.arm for trial in trials}
        return least_share(len(arms), self.scheduler, with_baseline=BASELINE in arms)


def device_hours(trials: Trials) -> float:
    """Of all of them to their end."""
    return sum(trial.seconds.mid * trial.workers for trial in trials) / SECONDS_PER_HOUR
