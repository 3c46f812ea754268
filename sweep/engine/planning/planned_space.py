"""`PlannedSpace`: what further points of a planned sweep train, settled as those of its plan.

The same point and seed always give the same trial, so what was added to a sweep once can be made
again by whoever resumes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from infra.errors import MissingError, Problem
from search_spaces.axes import Axis
from sweep.engine.growing.growth import NewTrial
from sweep.engine.planning.arms import Arm, Settling
from sweep.records.rows import ArmRow

if TYPE_CHECKING:
    from sweep.engine.planning.plan import PlannedTrial


class PlannedSpace:
    """Points, arms and trials of one sweep."""

    def __init__(
        self,
        axes: Sequence[Axis],
        settling: Settling,
        plan_trial: Callable[[Arm, int], PlannedTrial],
        arms: Sequence[Arm],
        *,
        least_difference: float = 0.0,
    ) -> None:
        self.axes = tuple(axes)
        self.least_difference = least_difference
        self._settling = settling
        self._plan_trial = plan_trial
        self._arms = {arm.name: arm for arm in arms}

    @property
    def problems(self) -> Sequence[Problem]:
        """What was wrong with points that are no valid configs, so far."""
        return self._settling.problems

    def trial(self, point: Mapping[str, str], *, seed: int, stage: int = 0) -> NewTrial | None:
        """The trial of a point; None when the point is no valid arm or breaks a rule."""
        arm = self._settling.take(point)
        if arm is None:
            return None
        self._arms.setdefault(arm.name, arm)
        return _new(self._plan_trial(arm, seed), point, stage)

    def replicate(self, arm: str, *, seed: int) -> NewTrial | None:
        """A further trial of an arm."""
        made = self._arms[arm]
        return _new(self._plan_trial(made, seed), made.point, 0)

    def planned(self, new: NewTrial) -> PlannedTrial:
        """An added trial with all it takes to execute it.

        Raises:
            MissingError: If it would be another training now than when it was added.
        """
        self.trial(new.point, seed=new.seed)
        arm = self._arms.get(new.arm)
        planned = None if arm is None else self._plan_trial(arm, new.seed)
        if planned is None or planned.identity != new.identity:
            raise MissingError(
                f"{new.arm} seed {new.seed} was added as another training than it would be now: "
                "the data, a backbone or the trainer changed since; run the sweep's file again to "
                "start the sweep they make now"
            )
        return planned

    def arm_row(self, name: str) -> ArmRow:
        """An arm as the ledger registers it."""
        arm = self._arms[name]
        return ArmRow(name=arm.name, axis=arm.axis, level=arm.level, point=arm.point)


def _new(planned: PlannedTrial, point: Mapping[str, str], stage: int) -> NewTrial:
    return NewTrial(
        identity=planned.identity,
        arm=planned.arm,
        seed=planned.seed,
        workers=planned.workers,
        seconds_estimate=planned.seconds_estimate,
        total_steps=planned.total_steps,
        point=dict(point),
        stage=stage,
        shrinks=planned.shrinks,
    )
