"""Whether a plan fits its budget, and the cheapest ways to make it fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from infra.errors import Problem
from search_spaces.axes import Axis
from search_spaces.points import BASELINE
from sweep.engine.budget import SECONDS_PER_HOUR
from sweep.engine.plan import PlannedTrial, SweepPlan
from sweep.engine.price import simulated_makespan

Trials = Sequence[PlannedTrial]


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


def budget_problems(plan: SweepPlan) -> list[Problem]:
    """Every limit of the sweep's budget that the middle estimate of the plan is above."""
    problems = []
    for limit in _limits(plan):
        needed = limit.need(plan.to_execute)
        if needed is not None and needed > limit.allowed:
            problems.append(Problem(f"budget.{limit.name}", _message(plan, limit, needed)))
    return problems


def _limits(plan: SweepPlan) -> Iterator[_Limit]:
    budget = plan.spec.budget
    price = budget.usd_per_gpu_hour
    if budget.trials is not None:
        yield _Limit("trials", budget.trials, "trials", len)
    if budget.gpu_hours is not None:
        yield _Limit("gpu_hours", budget.gpu_hours, "device-hours", _device_hours)
    if budget.usd is not None and price is not None:
        yield _Limit("usd", budget.usd, "usd", lambda trials: _device_hours(trials) * price)
    if budget.hours is not None:
        devices = plan.estimate.market.devices
        unit = f"hours on {devices} device{'s' if devices > 1 else ''}"
        yield _Limit("hours", budget.hours, unit, lambda trials: _makespan_hours(trials, devices))


def _device_hours(trials: Trials) -> float:
    return sum(trial.seconds.mid * trial.workers for trial in trials) / SECONDS_PER_HOUR


def _makespan_hours(trials: Trials, devices: int) -> float | None:
    seconds = simulated_makespan(
        ((trial.seconds.mid, trial.workers) for trial in trials), devices=devices
    )
    return None if seconds is None else seconds / SECONDS_PER_HOUR


def _message(plan: SweepPlan, limit: _Limit, needed: float) -> str:
    trials = len(plan.to_execute)
    calibrated = plan.estimate.market.calibrated_on
    basis = f"measured on {calibrated} earlier trials" if calibrated else "arithmetic, unmeasured"
    ways = [way for way in (_fewer_seeds(plan, limit), _fewer_axes(plan, limit)) if way]
    ways.append(f"raise budget.{limit.name} to {_rounded_up(needed)}")
    what = f"{_shown(needed)} {limit.unit}"
    if limit.name != "trials":
        what = f"about {what} ({trials} trials; {basis})"
    return f"the plan needs {what}, allowed are {limit.allowed:g}; {'; or '.join(ways)}"


def _fewer_seeds(plan: SweepPlan, limit: _Limit) -> str:
    """The most seeds that fit, if any do."""
    first, seeds = plan.spec.replicates.first_seed, plan.spec.replicates.seeds
    low, high = 0, seeds
    while high - low > 1:
        middle = (low + high) // 2
        fits = limit.fits([trial for trial in plan.to_execute if trial.seed < first + middle])
        low, high = (middle, high) if fits else (low, middle)
    if low == 0:
        return ""
    kept = [trial for trial in plan.to_execute if trial.seed < first + low]
    return f"set replicates.seeds to {low} ({_shown(limit.need(kept) or 0.0)} {limit.unit})"


def _fewer_axes(plan: SweepPlan, limit: _Limit) -> str:
    """The axis whose levels cost most, and what the plan needs without it."""
    without = [
        (needed, axis.name)
        for axis in plan.axes
        if (needed := limit.need(_without(plan, axis))) is not None
    ]
    if not without:
        return ""
    needed, axis = min(without)
    short = "" if needed <= limit.allowed else ", which is not enough alone"
    return f"drop the axis {axis} ({_shown(needed)} {limit.unit}{short})"


def _without(plan: SweepPlan, axis: Axis) -> Trials:
    """The trials left when the axis stays at the baseline (or at its first level)."""
    own = axis.baseline_level.name if axis.baseline_level is not None else BASELINE
    standing = {arm.point.get(axis.name, own) for arm in plan.arms}
    kept_level = own if own in standing else axis.levels[0].name
    kept = {arm.name for arm in plan.arms if arm.point.get(axis.name, kept_level) == kept_level}
    return [trial for trial in plan.to_execute if trial.arm in kept]


def _shown(figure: float) -> str:
    return f"{figure:.3g}" if figure < 1000 else f"{figure:,.0f}"


def _rounded_up(figure: float) -> str:
    """Two digits that are surely enough."""
    if float(figure).is_integer():
        return f"{figure:g}"
    step = 10.0 ** (math.floor(math.log10(figure)) - 1)
    return f"{math.ceil(figure / step) * step:g}"
