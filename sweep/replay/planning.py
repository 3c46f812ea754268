"""From a sweep file and a table of curves to trials; axes are the table's own columns.

The trainer is not asked: a point is settled by looking it up, not by making a trainer config. The
designs, the order of trials and everything after them are those of real sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from infra.errors import Problem, SpecError
from search_spaces.points import BASELINE
from sweep.engine.designs.points import first_design, make_design
from sweep.engine.growing.growth import NewTrial
from sweep.records.rows import ArmRow
from sweep.replay.curves import Curve, CurveTable
from sweep.replay.space import TableSpace, point_text, table_space, text_of
from sweep.spec.design_spec import SearchDesign, StagedDesign
from sweep.spec.sweep_spec import SweepSpec
from trainer.identity import digest

PointKey = tuple[tuple[str, str], ...]
"""Axes and levels of a point, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrial:
    """One recorded training, as the engine expects it."""

    identity: str
    arm: str
    seed: int
    configuration: str
    curve: Curve
    seconds_estimate: float
    workers: int = 1

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.curve.total_steps

    @property
    def shrinks(self) -> int:
        """A recorded training takes no memory."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """What a replayed sweep will do."""

    sweep_id: str
    spec: SweepSpec
    space: TableSpace
    arms: tuple[ArmRow, ...]
    trials: tuple[RecordedTrial, ...]
    drawn: RecordedSpace
    """What further points stand for."""

    @property
    def table(self) -> CurveTable:
        """Its curves."""
        return self.space.table


def plan_replay(spec: SweepSpec, table: CurveTable, *, order: int = 0) -> ReplayPlan:
    """The plan of a sweep on recorded curves.

    Args:
        spec: With axes, its design chooses among the table's configurations; without, all of them
            are arms.
        table: The curves.
        order: Seed of the order in which configurations are tried when the file names no axes.

    Raises:
        SpecError: With everything the table cannot answer.
    """
    problems = _spec_problems(spec, table)
    try:
        space = table_space(spec, table)
    except SpecError as error:
        raise SpecError(error.source, [*problems, *error.problems]) from error
    if problems:
        raise SpecError(f"sweep {spec.name}", problems)
    chosen = bool(spec.axes) or isinstance(spec.design, SearchDesign | StagedDesign)
    answers: dict[PointKey, str] = {}
    arms = _designed(space, answers) if chosen else _all_of(space, order)
    first = spec.replicates.first_seed
    trials = tuple(
        recorded_trial(table, arm.name, configuration, seed=seed)
        for seed in range(first, first + spec.replicates.seeds)
        for arm, configuration in arms
    )
    content = {"spec": spec.model_dump(mode="json"), "curves": table.digest, "order": order}
    return ReplayPlan(
        sweep_id=f"{spec.name}-{digest(content)[:8]}",
        spec=spec,
        space=space,
        arms=tuple(arm for arm, _ in arms),
        trials=trials,
        drawn=RecordedSpace(space, {arm.name: name for arm, name in arms}, answers),
    )


def recorded_trial(table: CurveTable, arm: str, configuration: str, *, seed: int) -> RecordedTrial:
    """The trial of a configuration of the table; `seed` counts its repetitions from 0."""
    identity = digest({"curves": table.digest, "configuration": configuration, "seed": seed})
    return RecordedTrial(
        identity=identity,
        arm=arm,
        seed=seed,
        configuration=configuration,
        curve=table.curves[configuration][seed],
        seconds_estimate=table.median_seconds,
    )


class RecordedSpace:
    """Further points of a replayed sweep, answered by the table."""

    def __init__(
        self, space: TableSpace, arms: Mapping[str, str], answers: Mapping[PointKey, str]
    ) -> None:
        """Prepare.

        Args:
            space: The table's.
            arms: Configurations by arm, of those that are planned.
            answers: Configurations by point, of those a design has asked for.
        """
        self.axes = space.axes
        self.least_difference = 0.0
        """A table does not say of how many items its figures are."""
        self._space = space
        self._configurations = dict(arms)
        self._names = {configuration: arm for arm, configuration in arms.items()}
        self._answers = dict(answers)

    def trial(self, point: Mapping[str, str], *, seed: int, stage: int = 0) -> NewTrial | None:
        """The trial of a point; none where the table does not hold its levels."""
        if not point and self._space.baseline is None:
            return None
        key = _key(point)
        if key not in self._answers:
            try:
                self._answers[key] = self._space.configuration(point, taken=self._names)
            except SpecError:
                return None
        return self._made(self._answers[key], point, seed, stage)

    def replicate(self, arm: str, *, seed: int) -> NewTrial | None:
        """A further repetition of an arm; none where the table has no more."""
        return self._made(self._configurations[arm], {}, seed, 0)

    def recorded(self, new: NewTrial) -> RecordedTrial:
        """The recorded training an added trial stands for."""
        return recorded_trial(
            self._space.table, new.arm, self._configurations[new.arm], seed=new.seed
        )

    def arm_row(self, arm: str) -> ArmRow:
        """An arm as a ledger registers it."""
        return arm_row(self._space, self._configurations[arm], arm)

    def _made(
        self, configuration: str, point: Mapping[str, str], seed: int, stage: int
    ) -> NewTrial | None:
        if seed not in self._space.table.curves[configuration]:
            return None
        name = BASELINE if configuration == self._space.baseline else configuration
        arm = self._names.setdefault(configuration, name)
        self._configurations[arm] = configuration
        trial = recorded_trial(self._space.table, arm, configuration, seed=seed)
        return NewTrial(
            identity=trial.identity,
            arm=arm,
            seed=seed,
            workers=trial.workers,
            seconds_estimate=trial.seconds_estimate,
            total_steps=trial.total_steps,
            point=dict(point),
            stage=stage,
        )


def _spec_problems(spec: SweepSpec, table: CurveTable) -> list[Problem]:
    problems = []
    seeds = min(len(each) for each in table.curves.values())
    last = spec.replicates.first_seed + spec.replicates.seeds
    if last > seeds:
        plural = "" if seeds == 1 else "s"
        message = f"the curves hold {seeds} seed{plural} of some configuration, not {last}"
        problems.append(Problem("replicates.seeds", message))
    if spec.objective.mode != table.mode:
        message = f"the curves' mode is {table.mode}, came {spec.objective.mode}"
        problems.append(Problem("objective.mode", message))
    return problems


def _all_of(space: TableSpace, order: int) -> list[tuple[ArmRow, str]]:
    """Every configuration, in random order, the baseline first."""
    names = sorted(space.table.configurations)
    shuffled = [names[index] for index in np.random.default_rng(order).permutation(len(names))]
    if space.baseline is not None:
        shuffled.remove(space.baseline)
        shuffled.insert(0, space.baseline)
    return [(arm_row(space, name, name), name) for name in shuffled]


def _key(point: Mapping[str, str]) -> PointKey:
    return tuple(sorted(point.items()))


def _designed(space: TableSpace, answers: dict[PointKey, str]) -> list[tuple[ArmRow, str]]:
    """The configurations the design asks for; notes which point is answered by which."""
    varied, first = first_design(space.spec.design, space.axes)
    design = make_design(first, varied)
    problems = design.problems()
    if problems:
        raise SpecError(f"sweep {space.spec.name}", problems)
    found: dict[str, tuple[ArmRow, str]] = {}
    for point in design.points():
        if not point and space.baseline is None:
            continue  # a design's reference, where the file names none
        configuration = answers[_key(point)] = space.configuration(point, taken=found)
        found.setdefault(
            configuration, (arm_row(space, configuration, point_text(point)), configuration)
        )
        if design.wanted is not None and len(found) - (space.baseline in found) >= design.wanted:
            break
    return list(found.values())


def arm_row(space: TableSpace, configuration: str, name: str) -> ArmRow:
    """A configuration as a ledger registers its arm."""
    values = space.table.configurations[configuration]
    return ArmRow(
        name=BASELINE if configuration == space.baseline else name,
        point={axis: text_of(value) for axis, value in values.items()},
    )
