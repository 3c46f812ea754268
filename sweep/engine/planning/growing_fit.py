"""`Growing`: what a search or a race adds to a plan, held against the limits of its budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sweep.engine.planning.asked import Limit, Trials
from sweep.engine.planning.growth_price import GrowthPrice, growth_price
from sweep.engine.planning.plan import SweepPlan
from sweep.spec.design_spec import SearchDesign

_NOTHING = GrowthPrice(least_trials=0, most_trials=0, least_hours=0.0, most_hours=0.0, why="")


@dataclass(frozen=True, slots=True)
class Growing:
    """What is added while a sweep runs, beside what is asked for already."""

    plan: SweepPlan
    price: GrowthPrice

    @classmethod
    def of(cls, plan: SweepPlan) -> Growing:
        """What a plan's sweep adds; what stages add is asked for already, so it is nothing here."""
        staged = plan.spec.design.kind == "staged"
        return cls(plan, _NOTHING if staged else growth_price(plan) or _NOTHING)

    @property
    def searches(self) -> bool:
        """Whether points are asked from a sampler."""
        return isinstance(self.plan.spec.design, SearchDesign)

    @property
    def why_least(self) -> str:
        """What is surely added, in words; empty where nothing is."""
        least = self.price.least_trials
        return f"{least} of them added by the search at least" if least else ""

    @property
    def why_most(self) -> str:
        """On what it depends whether the most is needed."""
        early = "if no arm is stopped early" if self.plan.spec.scheduler.rungs else ""
        added = f"{self.price.most_trials} trials more: {self.price.why}"
        return "; ".join(part for part in (added if self.price.most_trials else "", early) if part)

    def least(self, limit: Limit, trials: Trials) -> float | None:
        """What these trials and the least that is added need of a limit."""
        needed = limit.need(trials)
        return None if needed is None else needed + self._added(limit, self._least)

    def most(self, limit: Limit, trials: Trials) -> float | None:
        """The same with the most that can be added, and nothing stopped early."""
        needed = limit.whole(trials)
        most = (self.price.most_trials, self.price.most_hours)
        return None if needed is None else needed + self._added(limit, most)

    def ways(self, limit: Limit, trials: Trials) -> Iterator[str]:
        """Smaller searches that fit, the one that gives up least first."""
        found = []
        for seeds in range(self.plan.spec.replicates.seeds, 0, -1):
            points = self._points_that_fit(limit, trials, seeds)
            changes = []
            if points < self._design.trials:
                changes.append(f"design.trials to {points}")
            if seeds < self.plan.spec.replicates.seeds:
                changes.append(f"replicates.seeds to {seeds}")
            if points and changes:
                found.append((-points * seeds, f"set {' and '.join(changes)}"))
        yield from (text for _, text in sorted(found, key=lambda each: each[0]))

    def _points_that_fit(self, limit: Limit, trials: Trials, seeds: int) -> int:
        replicates, most = self.plan.spec.replicates, self._design.trials
        kept = [trial for trial in trials if trial.seed < replicates.first_seed + seeds]
        planned = limit.need(kept)
        added = self._added(limit, self._least) * seeds / replicates.seeds
        if planned is None or not added:
            return 0
        share = (limit.allowed - planned) / added
        if self.price.least_trials < self.price.most_trials:  # the least is of one point alone
            return most if share >= 1 else 0
        return max(0, min(most, int(share * most)))

    @property
    def _design(self) -> SearchDesign:
        design = self.plan.spec.design
        assert isinstance(design, SearchDesign)
        return design

    @property
    def _least(self) -> tuple[int, float]:
        return self.price.least_trials, self.price.least_hours

    def _added(self, limit: Limit, added: tuple[int, float]) -> float:
        """What so many trials and device-hours are by the measure of a limit."""
        trials, hours = added
        budget, market = self.plan.spec.budget, self.plan.estimate.market
        return {
            "trials": float(trials),
            "gpu_hours": hours,
            "usd": hours * (budget.usd_per_gpu_hour or 0.0),
            "hours": hours / max(1, market.devices),
        }[limit.name]
