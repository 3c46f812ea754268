"""Whether a plan fits its budget, and the cheapest ways to make it fit.

Of a staged sweep what stages add counts as well, from the baseline as it is. What a search or a
race adds does not: it goes on for as long as its budget lasts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.errors import Problem
from search_spaces.axes import Axis
from search_spaces.points import BASELINE
from sweep.engine.budgets.budget import SECONDS_PER_HOUR, stage_budget
from sweep.engine.planning.plan import PlannedTrial, SweepPlan
from sweep.engine.planning.price import simulated_makespan
from sweep.spec.design_spec import StagedDesign
from sweep.spec.sweep_spec import BudgetSpec

Trials = Sequence[PlannedTrial]

MOST_CUT_BY_LEVEL = 2_000
"""In larger plans single levels are not tried: they save too little to matter."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """One limit of the budget and how to measure trials against it."""

    name: str
    allowed: float
    unit: str
    need: Callable[[Trials], float | None]
    """What these trials need; None when that cannot be told."""

    def fits(self, trials: Trials) -> bool:
        needed = self.need(trials)
        return needed is not None and needed <= self.allowed


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is still to be trained, by all stages."""

    trials: Trials
    points: Mapping[str, Mapping[str, str]]
    """By arm."""
    stages: Mapping[str, int]
    """Number of its stage by identity, of those that stages add."""

    @classmethod
    def of(cls, plan: SweepPlan) -> _Asked:
        later = [each for each in plan.later if not each.trial.finished]
        return cls(
            trials=(*plan.to_execute, *(each.trial for each in later)),
            points={each.trial.arm: each.point for each in later}
            | {arm.name: arm.point for arm in plan.arms},
            stages={each.trial.identity: each.stage for each in later},
        )

    def of_stage(self, number: int) -> Trials:
        """Those no stage before it has trained."""
        return [trial for trial in self.trials if self.stages.get(trial.identity, 0) == number]

    def makespan_hours(self, trials: Trials, devices: int) -> float | None:
        """Of some of these trials: stages wait for one another."""
        by_stage: dict[int, list[tuple[float, int]]] = {}
        for trial in trials:
            work = by_stage.setdefault(self.stages.get(trial.identity, 0), [])
            work.append((trial.seconds.mid, trial.workers))
        spans = [simulated_makespan(work, devices=devices) for work in by_stage.values()]
        known = [span for span in spans if span is not None]
        return sum(known) / SECONDS_PER_HOUR if len(known) == len(spans) else None


def budget_problems(plan: SweepPlan) -> list[Problem]:
    """Every limit of the sweep's budget that the middle estimate of the plan is above."""
    asked, problems = _Asked.of(plan), []
    for limit in _limits(plan.spec.budget, asked, plan.estimate.market.devices):
        needed = limit.need(asked.trials)
        if needed is not None and needed > limit.allowed:
            problems.append(Problem(f"budget.{limit.name}", _message(plan, asked, limit, needed)))
    return [*problems, *_arm_problems(plan, asked), *_stage_problems(plan, asked)]


def _arm_problems(plan: SweepPlan, asked: _Asked) -> list[Problem]:
    """Arms that would be stopped by their own budget."""
    allowed = plan.spec.budget.per_arm.gpu_hours
    if allowed is None:
        return []
    by_arm: dict[str, list[PlannedTrial]] = {}
    for trial in asked.trials:
        by_arm.setdefault(trial.arm, []).append(trial)
    over = [
        f"{arm} needs about {_shown(hours)}"
        for arm, trials in by_arm.items()
        if (hours := _device_hours(trials)) > allowed
    ]
    if not over:
        return []
    shown = "; ".join(over[:3]) + (f"; and {len(over) - 3} more" if over[3:] else "")
    message = (
        f"device-hours allowed per arm are {allowed:g}, but {shown}; raise "
        "budget.per_arm.gpu_hours, lower replicates.seeds, or drop these levels"
    )
    return [Problem("budget.per_arm.gpu_hours", message)]


def _stage_problems(plan: SweepPlan, asked: _Asked) -> list[Problem]:
    """Stages that would be ended by their own budget."""
    design, problems = plan.spec.design, []
    if not isinstance(design, StagedDesign):
        return []
    for number, stage in enumerate(design.stages):
        budget = stage_budget(plan.spec.budget, stage.name)
        if budget is None:
            continue
        trials = asked.of_stage(number)
        for limit in _limits(budget, asked, plan.estimate.market.devices):
            needed = limit.need(trials)
            if needed is not None and needed > limit.allowed:
                path = f"budget.per_stage.{stage.name}.{limit.name}"
                message = (
                    f"the stage needs about {_shown(needed)} {limit.unit} ({len(trials)} trials"
                    f"{', from the baseline as it is' if number else ''}), allowed are "
                    f"{limit.allowed:g}; raise {path} to {_rounded_up(needed)}, lower "
                    "replicates.seeds, or drop levels of the stage"
                )
                problems.append(Problem(path, message))
    return problems


def _limits(budget: BudgetSpec, asked: _Asked, devices: int) -> Iterator[_Limit]:
    price = budget.usd_per_gpu_hour
    if budget.trials is not None:
        yield _Limit("trials", budget.trials, "trials", len)
    if budget.gpu_hours is not None:
        yield _Limit("gpu_hours", budget.gpu_hours, "device-hours", _device_hours)
    if budget.usd is not None and price is not None:
        yield _Limit("usd", budget.usd, "usd", lambda trials: _device_hours(trials) * price)
    if budget.hours is not None:
        unit = f"hours on {devices} device{'s' if devices > 1 else ''}"
        yield _Limit(
            "hours", budget.hours, unit, lambda trials: asked.makespan_hours(trials, devices)
        )


def _device_hours(trials: Trials) -> float:
    return sum(trial.seconds.mid * trial.workers for trial in trials) / SECONDS_PER_HOUR


def _message(plan: SweepPlan, asked: _Asked, limit: _Limit, needed: float) -> str:
    trials = f"{len(asked.trials)} trials"
    if asked.stages:
        trials += f", {len(asked.stages)} of them added by stages, from the baseline as it is"
    calibrated = plan.estimate.market.calibrated_on
    basis = f"measured on {calibrated} earlier trials" if calibrated else "arithmetic, unmeasured"
    ways = [
        *_cheapest_ways(plan, asked, limit),
        f"raise budget.{limit.name} to {_rounded_up(needed)}",
    ]
    what = f"{_shown(needed)} {limit.unit}"
    if limit.name != "trials":
        what = f"about {what} ({trials}; {basis})"
    elif asked.stages:
        what = f"{what} ({trials.partition(', ')[2]})"
    return f"the plan needs {what}, allowed are {limit.allowed:g}; {'; or '.join(ways)}"


def _cheapest_ways(plan: SweepPlan, asked: _Asked, limit: _Limit) -> list[str]:
    """The two cuts that fit and keep most trials; the largest cut when none fits alone."""
    fitting = [
        (len(kept), text, needed)
        for text, kept in _cuts(plan, asked, limit)
        if (needed := limit.need(kept)) is not None and needed <= limit.allowed and kept
    ]
    # Of cuts that keep as many, the one that was named first: seeds, then axes, then levels.
    fitting.sort(key=lambda cut: -cut[0])
    if fitting:
        return [f"{text} ({_shown(needed)} {limit.unit})" for _, text, needed in fitting[:2]]
    without = [
        (needed, axis.name)
        for axis in plan.axes
        if (needed := limit.need(_without(asked, axis))) is not None
    ]
    if not without:
        return []
    needed, name = min(without)
    text = f"drop the axis {name} ({_shown(needed)} {limit.unit}"
    return [f"{text}{'' if needed <= limit.allowed else ', which is not enough alone'})"]


def _cuts(plan: SweepPlan, asked: _Asked, limit: _Limit) -> Iterator[tuple[str, Trials]]:
    """Ways to ask for less, each with the trials that are left."""
    first, seeds = plan.spec.replicates.first_seed, plan.spec.replicates.seeds
    most = _most_seeds(plan, asked, limit)
    if 0 < most < seeds:
        kept = [trial for trial in asked.trials if trial.seed < first + most]
        yield f"set replicates.seeds to {most}", kept
    for axis in plan.axes:
        yield f"drop the axis {axis.name}", _without(asked, axis)
    if len(plan.trials) > MOST_CUT_BY_LEVEL:
        return
    for axis in plan.axes:
        for level in axis.levels if len(axis.levels) > 2 else ():
            if not level.is_baseline:
                gone = {arm for arm, at in asked.points.items() if at.get(axis.name) == level.name}
                kept = [trial for trial in asked.trials if trial.arm not in gone]
                yield f"drop the level {axis.name}={level.name}", kept


def _most_seeds(plan: SweepPlan, asked: _Asked, limit: _Limit) -> int:
    """The most seeds that fit; 0 when not even one does."""
    first, seeds = plan.spec.replicates.first_seed, plan.spec.replicates.seeds
    low, high = 0, seeds
    while high - low > 1:
        middle = (low + high) // 2
        fits = limit.fits([trial for trial in asked.trials if trial.seed < first + middle])
        low, high = (middle, high) if fits else (low, middle)
    return low


def _without(asked: _Asked, axis: Axis) -> Trials:
    """The trials left when the axis stays at the baseline (or at its first level)."""
    own = axis.baseline_level.name if axis.baseline_level is not None else BASELINE
    standing = {point.get(axis.name, own) for point in asked.points.values()}
    kept_level = own if own in standing else axis.levels[0].name
    return [
        trial
        for trial in asked.trials
        if asked.points[trial.arm].get(axis.name, kept_level) == kept_level
    ]


def _shown(figure: float) -> str:
    return f"{figure:.3g}" if figure < 1000 else f"{figure:,.0f}"


def _rounded_up(figure: float) -> str:
    """Two digits that are surely enough."""
    if float(figure).is_integer():
        return f"{figure:g}"
    step = 10.0 ** (math.floor(math.log10(figure)) - 1)
    return f"{math.ceil(figure / step) * step:g}"
