"""Whether a plan fits its budget, and the cheapest ways to make it fit.

Refused is what cannot fit: the least that is to be trained, by the middle of the estimates. What
stages add counts with it, from the baseline as it is, and what a search adds at least. What may be
added beyond, or would be trained if nothing were stopped early, is told of and not refused: a
search or a race goes on for as long as its budget lasts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from infra.errors import Problem
from sweep.engine.budgets.budget import part_budget
from sweep.engine.planning.asked import Asked, Limit
from sweep.engine.planning.cuts import Cuts
from sweep.engine.planning.growing_fit import Growing
from sweep.engine.planning.plan import PlannedTrial, SweepPlan
from sweep.spec.design_spec import StagedDesign

WAYS = 3
"""The cheapest ways to fit that are named; a higher limit is one."""
MOST_DEVICES = 4096
"""More are not proposed."""


def budget_problems(plan: SweepPlan) -> list[Problem]:
    """Every limit of the sweep's budget that the least it trains is above."""
    asked, growing = Asked.of(plan), Growing.of(plan)
    problems = []
    for limit in asked.limits(plan.spec.budget, plan.estimate.market.devices):
        needed = growing.least(limit, asked.trials)
        if needed is not None and needed > limit.allowed:
            message = _message(plan, asked, growing, limit, needed)
            problems.append(Problem(f"budget.{limit.name}", message))
    return [*problems, *_arm_problems(plan, asked), *_stage_problems(plan, asked)]


def budget_notes(plan: SweepPlan) -> Iterator[str]:
    """Limits that a plan which may fit would reach: by what is added, or without early stops."""
    asked, growing = Asked.of(plan), Growing.of(plan)
    for limit in asked.limits(plan.spec.budget, plan.estimate.market.devices):
        least = growing.least(limit, asked.trials)
        most = growing.most(limit, asked.trials)
        if least is None or most is None or not least <= limit.allowed < most:
            continue
        yield (
            f"budget.{limit.name} is {limit.allowed:g}, and the sweep may need up to "
            f"{_shown(most)} {limit.unit} ({growing.why_most}): it drains and ends there if it does"
        )


def _arm_problems(plan: SweepPlan, asked: Asked) -> list[Problem]:
    """Arms that would be stopped by their own budget."""
    budget = plan.spec.budget
    if not budget.limits_arms:
        return []
    by_arm: dict[str, list[PlannedTrial]] = {}
    for trial in asked.trials:
        by_arm.setdefault(trial.arm, []).append(trial)
    problems = []
    own = part_budget(budget, budget.per_arm)
    for limit in asked.limits(own, plan.estimate.market.devices):
        needs = {arm: limit.whole(trials) or 0.0 for arm, trials in by_arm.items()}
        over = [
            f"{arm} needs about {_shown(needed)}"
            for arm, needed in needs.items()
            if needed > limit.allowed
        ]
        if over:
            shown = "; ".join(over[:3]) + (f"; and {len(over) - 3} more" if over[3:] else "")
            path = f"budget.per_arm.{limit.name}"
            message = (
                f"{limit.unit} allowed per arm are {limit.allowed:g}, but {shown}; raise {path}, "
                "lower replicates.seeds, or drop these levels"
            )
            problems.append(Problem(path, message))
    return problems


def _stage_problems(plan: SweepPlan, asked: Asked) -> list[Problem]:
    """Stages that would be ended by their own budget."""
    design, problems = plan.spec.design, []
    if not isinstance(design, StagedDesign):
        return []
    for number, stage in enumerate(design.stages):
        own = plan.spec.budget.per_stage.get(stage.name)
        if own is None:
            continue
        budget, trials = part_budget(plan.spec.budget, own), asked.of_stage(number)
        for limit in asked.limits(budget, plan.estimate.market.devices):
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


def _message(plan: SweepPlan, asked: Asked, growing: Growing, limit: Limit, needed: float) -> str:
    trials = f"{len(asked.trials) + growing.price.least_trials} trials"
    if asked.stages:
        trials += f", {len(asked.stages)} of them added by stages, from the baseline as it is"
    if growing.why_least:
        trials += f", {growing.why_least}"
    if plan.spec.scheduler.rungs:
        trials += ", most of them stopped early"
    calibrated = plan.estimate.market.calibrated_on
    basis = f"measured on {calibrated} earlier trials" if calibrated else "arithmetic, unmeasured"
    ways = [
        *_cheapest_ways(plan, asked, growing, limit),
        f"raise budget.{limit.name} to {_rounded_up(needed)}",
    ]
    what = f"{_shown(needed)} {limit.unit}"
    if limit.name != "trials":
        what = f"about {what} ({trials}; {basis})"
    elif "," in trials and not plan.spec.scheduler.rungs:
        what = f"{what} ({trials.partition(', ')[2]})"
    return f"the plan needs {what}, allowed are {limit.allowed:g}; {'; or '.join(ways)}"


def _cheapest_ways(plan: SweepPlan, asked: Asked, growing: Growing, limit: Limit) -> list[str]:
    """Ways beside a higher limit, those that give up least first; the largest cut if none fits."""
    others = WAYS - 1
    if growing.searches:
        return list(growing.ways(limit, asked.trials))[:others]
    ways = list(_on_more_devices(asked, limit, plan.estimate.market.devices))
    cuts = Cuts(plan, asked, limit)
    ways += [
        f"{cut.text} ({_shown(limit.need(cut.kept) or 0.0)} {limit.unit})"
        for cut in cuts.fitting(others - len(ways))
    ]
    largest = cuts.largest()
    if ways or largest is None:
        return ways
    needed = limit.need(largest.kept) or 0.0
    return [f"{largest.text} ({_shown(needed)} {limit.unit}, which is not enough alone)"]


def _on_more_devices(asked: Asked, limit: Limit, devices: int) -> Iterator[str]:
    """How many would be enough, where it is only a question of time."""
    if limit.name != "hours":
        return
    low, high = devices, devices
    while high <= MOST_DEVICES and not _in_time(asked, limit, high):
        low, high = high, high * 2
    if high > MOST_DEVICES:
        return
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _in_time(asked, limit, middle) else (middle, high)
    hours = asked.makespan_hours(asked.trials, high, least=True) or 0.0
    yield f"run it on {high} devices ({_shown(hours)} hours)"


def _in_time(asked: Asked, limit: Limit, devices: int) -> bool:
    hours = asked.makespan_hours(asked.trials, devices, least=True)
    return hours is not None and hours <= limit.allowed


def _shown(figure: float) -> str:
    return f"{figure:.3g}" if figure < 1000 else f"{figure:,.0f}"


def _rounded_up(figure: float) -> str:
    """Two digits that are surely enough."""
    if float(figure).is_integer():
        return f"{figure:g}"
    step = 10.0 ** (math.floor(math.log10(figure)) - 1)
    return f"{math.ceil(figure / step) * step:g}"
