"""What a staged sweep adds at least: the designs of later stages, from the baseline as it is.

An arm that is adopted meanwhile changes what they train, and adds its own reference at most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.errors import Problem, SpecError
from sweep.engine.growing.staging import stage_design, stage_points
from sweep.engine.planning.planned_space import PlannedSpace
from sweep.spec.design_spec import StagedDesign, StageSpec
from sweep.spec.sweep_spec import SweepSpec

if TYPE_CHECKING:
    from sweep.engine.planning.plan import PlannedTrial

_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterTrial:
    """A trial that is not planned yet, and that no stage before its own has trained."""

    stage: int
    """Number of the first stage that trains it."""
    point: Mapping[str, str]
    trial: PlannedTrial


def later_trials(
    spec: SweepSpec, space: PlannedSpace, there: Collection[str], *, at_most: int
) -> tuple[LaterTrial, ...]:
    """What is added to the planned trials, each identity once; nothing without stages.

    The first stage's own baseline is among them where its design does not train it.

    Args:
        spec: The sweep.
        space: What its points train.
        there: Identities that are planned, of the first stage.
        at_most: Trials of all stages.

    Raises:
        SpecError: If a stage has too many points, or one that is no valid config.
    """
    if not isinstance(spec.design, StagedDesign):
        return ()
    left = at_most - len(there)
    problems = [
        problem
        for number, stage in enumerate(spec.design.stages[1:], start=1)
        for problem in _uncountable(stage, space, number, seeds=spec.replicates.seeds, left=left)
    ]
    found: dict[str, LaterTrial] = {}
    for number, stage in enumerate(spec.design.stages if not problems else ()):
        first = spec.replicates.first_seed
        for point in stage_points(stage, space, {}, number=number, seed=first).points:
            for seed in range(first, first + spec.replicates.seeds):
                new = space.trial(point, seed=seed, stage=number)
                if new is not None and new.identity not in there and new.identity not in found:
                    trial = space.planned(new)
                    found[new.identity] = LaterTrial(stage=number, point=point, trial=trial)
    problems = problems or [*space.problems][:_MOST_PROBLEMS]
    if problems:
        raise SpecError(f"sweep {spec.name}", problems)
    return tuple(found.values())


def _uncountable(
    stage: StageSpec, space: PlannedSpace, number: int, *, seeds: int, left: int
) -> list[Problem]:
    """Why a stage is not enumerated."""
    design = stage_design(stage, space.axes)
    problems = [
        Problem(f"design.stages[{number}].{each.path}", each.message) for each in design.problems()
    ]
    if problems:
        return problems
    points = sum(1 for _ in design.points()) if design.wanted is None else design.wanted
    if points * seeds <= left:
        return []
    message = (
        f"{points:,} points with {seeds:,} seeds are {points * seeds:,} trials, and all stages "
        f"may have {left:,} beside the first; drop seeds, levels or axes"
    )
    return [Problem(f"design.stages[{number}]", message)]
