"""What later stages of a staged sweep train at least: their designs from the baseline as it is.

An arm that is adopted meanwhile changes what they train, and adds its own reference at most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.engine.growing.staging import stage_points
from sweep.engine.planning.planned_space import PlannedSpace
from sweep.spec.design_spec import StagedDesign
from sweep.spec.sweep_spec import SweepSpec

if TYPE_CHECKING:
    from sweep.engine.planning.plan import PlannedTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterTrial:
    """A trial no stage before its own has trained."""

    stage: int
    """Number of the first stage that trains it, from 1."""
    point: Mapping[str, str]
    trial: PlannedTrial


def later_trials(
    spec: SweepSpec, space: PlannedSpace, there: Collection[str]
) -> tuple[LaterTrial, ...]:
    """What the stages after the first train, each identity once; nothing without stages.

    Args:
        spec: The sweep.
        space: What its points train.
        there: Identities the first stage trains.
    """
    if not isinstance(spec.design, StagedDesign):
        return ()
    first, found = spec.replicates.first_seed, dict[str, LaterTrial]()
    for number, stage in enumerate(spec.design.stages[1:], start=1):
        for point in stage_points(stage, space.axes, {}):
            for seed in range(first, first + spec.replicates.seeds):
                new = space.trial(point, seed=seed, stage=number)
                if new is not None and new.identity not in there and new.identity not in found:
                    trial = space.planned(new)
                    found[new.identity] = LaterTrial(stage=number, point=point, trial=trial)
    return tuple(found.values())
