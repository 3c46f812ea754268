"""`Arm`: one distinct training of a sweep, before it is replicated over seeds.

Points that settle into the same training are one arm. The baseline, when it is among them, comes
first and is called `baseline`; other arms are called by their levels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from infra.errors import Problem, SpecError
from infra.findings import InvalidSettings
from search_spaces.axes import Axis
from search_spaces.points import BASELINE, SettledPoint, condition_holds, settle_point
from sweep.engine.designs import design_points, design_problems
from sweep.spec.design_spec import DesignSpec
from trainer.config import BackboneConfig, DataConfig, TrainerConfig
from trainer.identity import PENDING, identity_text

LONGEST_NAME = 240
_MAX_PROBLEMS = 20


class Digests(Protocol):
    """Content of data and backbones, or None for what only the cluster can see."""

    def data(self, config: DataConfig) -> Mapping[str, str] | None:
        """Digest of every source with a positive weight, by name."""
        ...

    def backbone(self, config: BackboneConfig) -> str | None:
        """Digest of the backbone's files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One distinct training."""

    name: str
    """`baseline`, or its levels such as `head.layers=3, scale=xs`."""
    axis: str | None
    """The one axis in which it differs from the baseline; None when there is not exactly one."""
    level: str | None
    """Its level on that axis."""
    point: Mapping[str, str]
    """Level of every axis that is active, `baseline` where the baseline has no level of its own."""
    config: TrainerConfig
    """With the first seed."""
    pending: bool = False
    """A digest its identity needs is not known yet."""
    text: tuple[str, str] = field(default=("", ""), repr=False)
    """What its identities are digests of, cut where the seed stands."""


def make_arms(
    design: DesignSpec,
    *,
    baseline: TrainerConfig,
    axes: Sequence[Axis],
    digests: Digests,
    source: str = "the sweep",
) -> tuple[Arm, ...]:
    """The arms of a design, the baseline first.

    Raises:
        SpecError: If the design has no points or too many, a point is no valid config, or an axis
            changes nothing that is trained.
    """
    problems = design_problems(design, axes)
    if problems:
        raise SpecError(source, problems)
    identities = IdentityTexts(digests)
    reference, _ = identities(baseline)
    found: dict[tuple[str, str], Arm] = {}
    for asked in design_points(design, axes):
        try:
            settled = settle_point(baseline, axes, asked)
        except InvalidSettings as error:
            problems += [_at_point(problem, asked) for problem in error.problems]
            continue
        text, pending = identities(settled.config)
        if text not in found:
            point = _full_point(settled, axes)
            found[text] = Arm(
                name=BASELINE if text == reference else _name(settled.point),
                **_only_move(point, axes),
                point=point,
                config=settled.config,
                pending=pending,
                text=text,
            )
    arms = sorted(found.values(), key=lambda arm: arm.text != reference)
    problems = problems or _idle_axes(axes, arms)
    if problems:
        raise SpecError(source, _shortened(problems))
    return tuple(arms)


class IdentityTexts:
    """Canonical identity texts of configs, every digest asked for once."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self._data: dict[str, Mapping[str, str] | None] = {}
        self._backbones: dict[str, str | None] = {}

    def __call__(self, config: TrainerConfig) -> tuple[tuple[str, str], bool]:
        """The text, cut at the seed, and whether a digest in it is still unknown."""
        key = config.data.model_dump_json()
        if key not in self._data:
            self._data[key] = self._digests.data(config.data)
        data = self._data[key]
        key = config.backbone.model_dump_json()
        if key not in self._backbones:
            self._backbones[key] = self._digests.backbone(config.backbone)
        backbone = self._backbones[key]
        text = identity_text(
            config,
            data_digests={PENDING: PENDING} if data is None else data,
            backbone_digest=PENDING if backbone is None else backbone,
        )
        return text, data is None or backbone is None


def _full_point(settled: SettledPoint, axes: Sequence[Axis]) -> dict[str, str]:
    """The settled point with the baseline's level of the axes that were not asked about."""
    point = {}
    for axis in axes:
        if axis.name in settled.point:
            point[axis.name] = settled.point[axis.name]
        elif axis.name not in settled.inactive and (
            axis.condition is None or condition_holds(axis.condition, settled.config, settled.point)
        ):
            point[axis.name] = _own_level(axis)
    return point


def _own_level(axis: Axis) -> str:
    """What the axis is at the baseline."""
    return axis.baseline_level.name if axis.baseline_level is not None else BASELINE


def _only_move(point: Mapping[str, str], axes: Sequence[Axis]) -> dict[str, str | None]:
    """The one axis away from the baseline and its level, if there is exactly one."""
    moved = [
        axis.name for axis in axes if point.get(axis.name, _own_level(axis)) != _own_level(axis)
    ]
    if len(moved) != 1:
        return {"axis": None, "level": None}
    return {"axis": moved[0], "level": point[moved[0]]}


def _name(point: Mapping[str, str]) -> str:
    name = ", ".join(f"{axis}={level}" for axis, level in point.items())
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 12]}... {hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _idle_axes(axes: Sequence[Axis], arms: Sequence[Arm]) -> list[Problem]:
    """Axes that the design asks about in vain."""
    problems = []
    for axis in axes:
        levels = {arm.point[axis.name] for arm in arms if axis.name in arm.point}
        if not levels:
            message = (
                f"the axis never matters in this design: its condition ({axis.condition}) holds "
                "at no point; change the baseline under `set`, or drop the axis"
            )
            problems.append(Problem(f"axes.{axis.name}", message))
        elif len(levels) == 1 and len(axis.levels) > 1:
            message = (
                f"the axis' {len(axis.levels)} levels all train the same weights in this design; "
                "drop it"
            )
            problems.append(Problem(f"axes.{axis.name}", message))
    return problems


def _at_point(problem: Problem, point: Mapping[str, str]) -> Problem:
    where = _name(point) or BASELINE
    return Problem("axes", f"{where} is no valid arm: {problem.path}: {problem.message}")


def _shortened(problems: Sequence[Problem]) -> list[Problem]:
    shown = list(problems[:_MAX_PROBLEMS])
    if len(problems) > len(shown):
        shown.append(Problem("axes", f"and {len(problems) - len(shown)} more like these"))
    return shown
