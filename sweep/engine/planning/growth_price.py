"""What a sweep that grows may take beside its planned trials: an interval, since nobody knows.

A search asks for so many points, of which some may be the same training; a race gives further seeds
to none of its arms or to all; a stage trains its design once for every baseline it may start from.
Trials that were not drawn yet take what a sample of the space takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search_spaces.axes import Axis
from sweep.engine.budgets.budget import SECONDS_PER_HOUR
from sweep.engine.designs.sampling import Sample, random_points, space_size
from sweep.engine.growing.growth import NewTrial
from sweep.engine.planning.asked import device_hours
from sweep.engine.planning.plan import SweepPlan
from sweep.engine.planning.planned_space import PlannedSpace
from sweep.spec.design_spec import SearchDesign, StagedDesign

SAMPLED_POINTS = 64
"""Points of a search that are drawn to learn what a training takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPrice:
    """What may come on top of the planned trials."""

    least_trials: int
    most_trials: int
    least_hours: float
    """Device-hours."""
    most_hours: float
    why: str
    """On what it depends."""


def growth_price(plan: SweepPlan) -> GrowthPrice | None:
    """The price of what a plan's sweep adds while it runs; None where it adds nothing.

    Estimates are as far off as those of the plan's own trials.
    """
    space, design = plan.space, plan.spec.design
    if space is None or not plan.trials:
        return None
    if isinstance(design, SearchDesign):
        return _of_search(plan, design, space)
    if isinstance(design, StagedDesign):
        return _of_stages(plan, design)
    return _of_race(plan) if plan.spec.replicates.race else None


def _of_search(plan: SweepPlan, design: SearchDesign, space: PlannedSpace) -> GrowthPrice | None:
    seeds = plan.spec.replicates.seeds
    drawn = [space.trial(point, seed=0) for point in _sampled(space.axes)]
    sample = [_hours(trial) for trial in drawn if trial is not None]
    if not sample:
        return None
    most = design.trials * seeds
    mean = sum(sample) / len(sample)
    low, high = _doubt(plan)
    rungs = plan.spec.scheduler.rungs
    first = rungs[0] if rungs else 1.0
    stops = f"; stopped at the first rung, each takes {first:.3g} of that" if rungs else ""
    # In a small space a sampler may ask for one training again and again; rules may refuse all.
    least = 0 if len(sample) < len(drawn) else min(most, seeds)
    if space_size(space.axes) is None and least:
        least = most
    return GrowthPrice(
        least_trials=least,
        most_trials=most,
        least_hours=least * mean * low * first,
        most_hours=most * mean * high,
        why=f"{design.trials} points to be asked for, as {len(sample)} drawn ones take{stops}",
    )


def _of_race(plan: SweepPlan) -> GrowthPrice:
    replicates = plan.spec.replicates
    assert replicates.at_most is not None
    more = replicates.at_most - replicates.seeds
    one_round = [t for t in plan.trials if t.seed == replicates.first_seed]
    _, high = _doubt(plan)
    hours = device_hours(one_round)
    return GrowthPrice(
        least_trials=0,
        most_trials=more * len(one_round),
        least_hours=0.0,
        most_hours=more * hours * high,
        why=f"none if the first {replicates.seeds} seeds decide, all {len(one_round)} arms up to "
        f"{replicates.at_most} seeds if none do",
    )


def _of_stages(plan: SweepPlan, design: StagedDesign) -> GrowthPrice:
    later = [each.trial for each in plan.later if not each.trial.finished]
    least = len(later)
    # From another baseline a stage's own reference is trained as well, or was before.
    most = least + (len(design.stages) - 1) * plan.spec.replicates.seeds
    hours = device_hours(later)
    low, high = _doubt(plan)
    names = ", ".join(stage.name for stage in design.stages[1:])
    return GrowthPrice(
        least_trials=least,
        most_trials=most,
        least_hours=hours * low,
        most_hours=hours * high * (most / least if least else 1.0),
        why=f"the stages {names}, from the baseline as it is" if names else "there is one stage",
    )


def _sampled(axes: Sequence[Axis]) -> Iterator[dict[str, str]]:
    sample = Sample(axes=tuple(axes), points=SAMPLED_POINTS, seed=0)
    return itertools.islice(random_points(sample), SAMPLED_POINTS)


def _hours(trial: NewTrial) -> float:
    return trial.seconds_estimate * trial.workers / SECONDS_PER_HOUR


def _doubt(plan: SweepPlan) -> tuple[float, float]:
    """By which factors the plan's own trials may take less and more."""
    spans = [trial.seconds for trial in plan.trials if trial.seconds.mid > 0]
    if not spans:
        return 1.0, 1.0
    return min(s.low / s.mid for s in spans), max(s.high / s.mid for s in spans)
