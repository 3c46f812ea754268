"""`StageGrowth`: stage after stage, what one stage finds being the next one's baseline.

An arm is adopted as it was measured. Levels that won apart from each other in one stage are not put
together: nobody has trained them together; give each its own stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy import stats

from analysis.statistics.corrections import holm
from search_spaces.axes import Axis
from sweep.engine.designs.points import Design, make_design
from sweep.engine.growing.growth import Addition, NewTrial, Space
from sweep.engine.growing.racing import Results, all_alike, results_of, sign_bound
from sweep.engine.view import SweepView
from sweep.spec.design_spec import StagedDesign, StageSpec
from sweep.spec.sweep_spec import SweepSpec

Point = dict[str, str]


class StageGrowth:
    """A staged design at work."""

    arms_asked = 0

    def __init__(self, spec: SweepSpec, design: StagedDesign, space: Space) -> None:
        self._design = design
        self._space = space
        self._key = spec.objective.key
        self._sign = 1.0 if spec.objective.mode == "max" else -1.0
        first = spec.replicates.first_seed
        self._seeds = range(first, first + spec.replicates.seeds)

    def addition(self, view: SweepView) -> Addition | None:
        """The trials of the next stage that has any, once the last one is over."""
        if view.open_trials:
            return None
        there = {trial.identity for trial in view.trials}
        results = results_of(view, self._key)
        adopted: Point = {}
        for number, stage in enumerate(self._design.stages):
            asked = self._points(number, adopted)
            trials = tuple(self._trials(number, asked.points))
            new = tuple(trial for trial in trials if trial.identity not in there)
            if new:
                shown = ", ".join(f"{axis}={level}" for axis, level in adopted.items())
                reason = f"stage {stage.name}, with {shown or 'the baseline as it is'}"
                if asked.left_out:
                    reason += f"; {asked.left_out} of its points are no valid arms with it"
                return Addition(trials=new, reason=reason)
            adopted = self._adopted(number, adopted, trials, results)
        return None

    def finished(self, view: SweepView) -> bool:
        """Whether what is settled leads to nothing more."""
        return self.addition(view) is None

    def stage_trials(self, number: int, adopted: Mapping[str, str]) -> Iterator[NewTrial]:
        """Every trial of a stage that starts from what was adopted before it, seeds outermost."""
        return self._trials(number, self._points(number, adopted).points)

    def _points(self, number: int, adopted: Mapping[str, str]) -> StagePoints:
        stage = self._design.stages[number]
        return stage_points(stage, self._space, adopted, number=number, seed=self._seeds[0])

    def _trials(self, number: int, points: Sequence[Point]) -> Iterator[NewTrial]:
        for seed in self._seeds:
            for point in points:
                trial = self._space.trial(point, seed=seed, stage=number)
                if trial is not None:
                    yield trial

    def _adopted(
        self, number: int, before: Point, trials: Sequence[NewTrial], results: Results
    ) -> Point:
        reference = self._space.trial(before, seed=self._seeds[0], stage=number)
        points = {trial.arm: dict(trial.point) for trial in trials}
        measured = {arm: results[arm] for arm in points if results.get(arm)}
        winner = adopt(
            measured,
            reference=None if reference is None else reference.arm,
            rule=self._design.adopt,
            sign=self._sign,
            alpha=self._design.alpha,
            item=self._space.least_difference,
        )
        return before if winner is None else points.get(winner, before)


@dataclass(frozen=True, slots=True)
class StagePoints:
    """What a stage asks for."""

    points: list[Point]
    left_out: int
    """Points that are no valid arms, or break a rule."""


def stage_points(
    stage: StageSpec, space: Space, adopted: Mapping[str, str], *, number: int, seed: int
) -> StagePoints:
    """The points of a stage: what was adopted, and what its design varies on top of it.

    Args:
        stage: What varies, and by which design.
        space: What points train: a design that wants so many trainings goes on until it has them.
        adopted: Levels the stage starts from.
        number: Of the stage.
        seed: Any the sweep trains with.
    """
    design = stage_design(stage, space.axes)
    design.problems()  # some designs are worked out here; the plan has shown that there are none
    reference = space.trial(adopted, seed=seed, stage=number)
    found, trainings, left_out = [dict(adopted)], set[str](), 0
    for point in design.points():
        trial = space.trial({**adopted, **point}, seed=seed, stage=number)
        if trial is None:
            left_out += 1
            continue
        found.append({**adopted, **point})
        if reference is None or trial.identity != reference.identity:
            trainings.add(trial.identity)
        if design.wanted is not None and len(trainings) >= design.wanted:
            break
    return StagePoints(found, left_out)


def stage_design(stage: StageSpec, axes: Sequence[Axis]) -> Design:
    """The design of a stage over its own axes."""
    return make_design(stage.design, [axis for axis in axes if axis.name in stage.axes])


def adopt(
    results: Results,
    *,
    reference: str | None,
    rule: str,
    sign: float,
    alpha: float,
    item: float = 0.0,
) -> str | None:
    """The arm to go on from; None to stay where one is.

    Args:
        results: Objective by arm and seed, of the arms of a stage that have any.
        reference: The arm the stage started from.
        rule: `best`, or `supported`: by a paired t-test over shared seeds, Holm-corrected.
        sign: 1 when more is better, -1 when less is.
        alpha: Level of the test.
        item: By how much one item moves the objective; differences spread by less are taken for
            equal, and then only their sign counts.
    """
    if not results:
        return None
    ranked = sorted(results, key=lambda arm: -sign * fmean(results[arm].values()))
    if rule == "best":
        return ranked[0]
    if reference is None or reference not in results:
        return None
    rivals = [arm for arm in ranked if arm != reference]
    p_values = [_paired_p(results[arm], results[reference], sign, item) for arm in rivals]
    corrected = holm(p_values) if p_values else []
    supported = [
        arm for arm, p in zip(rivals, corrected, strict=True) if p is not None and p <= alpha
    ]
    return supported[0] if supported else None


def _paired_p(
    arm: Mapping[int, float], reference: Mapping[int, float], sign: float, item: float
) -> float:
    """Two-sided p of no difference over shared seeds; 1 where the arm is not better.

    Of a test set of some hundred items, two seeds often differ by the same number of items, or by
    one more. Such differences have no spread to test by, so only their sign counts; and no spread
    is taken for smaller than one item.
    """
    shared = sorted(arm.keys() & reference.keys())
    differences = sign * np.array([arm[seed] - reference[seed] for seed in shared])
    if len(shared) < 2 or differences.mean() <= 0:
        return 1.0
    if all_alike(differences.tolist(), item):
        return sign_bound(len(shared))
    spread = max(float(differences.std(ddof=1)), item)
    ratio = float(differences.mean()) / spread * len(shared) ** 0.5
    return float(2.0 * stats.t.sf(ratio, len(shared) - 1))
