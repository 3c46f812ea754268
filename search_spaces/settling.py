"""Points: a chosen level per axis, settled into one trainer config.

Axes are applied after those their conditions ask about; an axis whose condition does not hold is
dropped from the point and leaves the baseline's settings alone. Two points that differ only in
dropped axes are therefore the same config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from infra.errors import BackboneError
from infra.findings import Finding, InvalidSettings
from search_spaces.axes import Axis
from search_spaces.conditions import Condition
from search_spaces.levels import Level
from search_spaces.patches import apply_patch, inside, locate, patched_section
from search_spaces.points import BASELINE, condition_holds, in_order, is_setting, own_levels
from trainer.catalog import backbone_folder
from trainer.config import TrainerConfig

_Chosen = tuple[tuple[str, str], ...]
"""Levels by axis, in the order they are applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledPoint:
    """A point after its conditions were asked."""

    config: TrainerConfig
    point: Mapping[str, str]
    """Level by axis; axes whose condition does not hold are not in it."""
    inactive: tuple[str, ...]
    """Axes of the asked point that were dropped."""


def settle_point(
    baseline: TrainerConfig, axes: Sequence[Axis], point: Mapping[str, str]
) -> SettledPoint:
    """The config of one point; of many, ask a `PointSettler`.

    Args:
        baseline: The settings every axis starts from.
        axes: All axes of the sweep, in any order.
        point: Level by axis; an axis that is not named stays at the baseline.

    Raises:
        InvalidSettings: If levels contradict each other or name an unknown backbone.
        KeyError: If an axis has no such level.
    """
    return PointSettler(baseline, axes).settle(point)


def full_point(settled: SettledPoint, axes: Sequence[Axis]) -> dict[str, str]:
    """The settled point with the baseline's level of the active axes that were not asked about."""
    return _full_point(settled, axes, own_levels(axes))


def _full_point(
    settled: SettledPoint, axes: Sequence[Axis], own: Mapping[str, str]
) -> dict[str, str]:
    standing = {**own, **settled.point}
    point = {}
    for axis in axes:
        if axis.name in settled.point:
            point[axis.name] = settled.point[axis.name]
        elif axis.name not in settled.inactive and (
            axis.condition is None or condition_holds(axis.condition, settled.config, standing)
        ):
            point[axis.name] = standing.get(axis.name, BASELINE)
    return point


class PointSettler:
    """Settles many points of the same axes.

    Sections of the config are independent but for checks between them, so each combination of
    levels that touches a section is patched and checked once; a point puts sections together.
    """

    def __init__(self, baseline: TrainerConfig, axes: Sequence[Axis]) -> None:
        self._baseline = baseline
        self._names = [axis.name for axis in axes]
        self._order = in_order(axes)
        self._standing = own_levels(axes)
        self._levels = {axis.name: {level.name: level for level in axis.levels} for axis in axes}
        self._sections: dict[tuple[str, _Chosen], Any] = {}
        self._backbones: set[_Chosen] = set()
        self._axes = tuple(axes)

    def full_point(self, settled: SettledPoint) -> dict[str, str]:
        """As the function of that name."""
        return _full_point(settled, self._axes, self._standing)

    def settle(self, point: Mapping[str, str]) -> SettledPoint:
        """The config of a point.

        Raises:
            InvalidSettings: If levels contradict each other or name an unknown backbone.
            KeyError: If an axis has no such level.
        """
        chosen: dict[str, str] = {}
        by_section: dict[str, _Chosen] = {}
        inactive = []
        for axis in self._order:
            if axis.name not in point:
                continue
            level = self._level(axis, point[axis.name])
            if axis.condition is not None and not self._holds(axis.condition, by_section, chosen):
                inactive.append(axis.name)
                continue
            chosen[axis.name] = level.name
            for section in {path.partition(".")[0] for path in level.patch}:
                by_section[section] = (*by_section.get(section, ()), (axis.name, level.name))
        config = self._config(by_section)
        self._check_backbone(config, by_section.get("backbone", ()))
        kept = {name: chosen[name] for name in self._names if name in chosen}
        return SettledPoint(config=config, point=kept, inactive=tuple(inactive))

    def _level(self, axis: Axis, name: str) -> Level:
        levels = self._levels[axis.name]
        if name not in levels:
            levels[name] = axis.level(name)  # drawn from a range or a mixture
        return levels[name]

    def _holds(
        self, condition: Condition, by_section: Mapping[str, _Chosen], chosen: Mapping[str, str]
    ) -> bool:
        """Whether a condition holds as far as the point has been applied."""
        values = {}
        for name in condition.names():
            if is_setting(name):
                values[name] = self._value(name, by_section)
            else:
                values[name] = chosen.get(name, self._standing.get(name, BASELINE))
        return condition.holds(values)

    def _value(self, path: str, by_section: Mapping[str, _Chosen]) -> Any:  # noqa: ANN401
        section, *rest = locate(path).location
        try:
            here = self._section(str(section), by_section.get(str(section), ()))
        except InvalidSettings:
            here = getattr(self._config(by_section), str(section))
        return inside(here, tuple(rest))

    def _config(self, by_section: Mapping[str, _Chosen]) -> TrainerConfig:
        sections = {name: getattr(self._baseline, name) for name in TrainerConfig.model_fields}
        try:
            for name, chosen in by_section.items():
                sections[name] = self._section(name, chosen)
            return TrainerConfig(**sections)
        except (InvalidSettings, ValidationError):
            # Sections contradict each other, or one is only right beside another: the patch as a
            # whole decides, and says what is wrong in its own places.
            patch: dict[str, Any] = {}
            for name, chosen in by_section.items():
                patch.update(self._patch(name, chosen))
            return apply_patch(self._baseline, patch)

    def _section(self, name: str, chosen: _Chosen) -> Any:  # noqa: ANN401 -- a section or a value
        """One section with the patches of these levels, beside a baseline that is as it was.

        Raises:
            InvalidSettings: If that makes no valid config.
        """
        if not chosen:
            return getattr(self._baseline, name)
        key = (name, chosen)
        if key not in self._sections:
            patch, here = self._patch(name, chosen), getattr(self._baseline, name)
            if isinstance(here, BaseModel):
                self._sections[key] = patched_section(here, name, patch)
            else:
                self._sections[key] = getattr(apply_patch(self._baseline, patch), name)
        return self._sections[key]

    def _patch(self, section: str, chosen: _Chosen) -> dict[str, Any]:
        """What these levels change in a section; a later axis wins."""
        patch: dict[str, Any] = {}
        for axis, level in chosen:
            for path, value in self._levels[axis][level].patch.items():
                if path.partition(".")[0] == section:
                    patch.pop(path, None)
                    patch[path] = value
        return patch

    def _check_backbone(self, config: TrainerConfig, chosen: _Chosen) -> None:
        if chosen in self._backbones:
            return
        try:
            backbone_folder(config.backbone)
        except BackboneError as error:
            raise InvalidSettings([Finding(("backbone",), str(error))]) from error
        self._backbones.add(chosen)
