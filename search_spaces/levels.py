"""`Level` and `ShippedAxis`: what one axis may be, before it is put into a sweep.

A shipped axis derives its levels from the baseline, because some are relative to it (a quarter of
its learning rate) and some depend on it (the scales of its backbone family).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from search_spaces.patches import apply_patch
from trainer.config import TrainerConfig
from trainer.identity import active_settings, canonical_json

_NO_CONDITIONS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One thing an axis may be."""

    name: str
    patch: Mapping[str, Any]
    """Settings it changes in the baseline, by dotted path."""
    doc: str = ""
    cost_hint: float = 1.0
    """Guessed cost of training one pair, as a multiple of the baseline's; measured costs win."""
    is_baseline: bool = False
    """Set once resolved: applying it to the baseline changes nothing that is trained."""

    def applied(self, config: TrainerConfig) -> TrainerConfig:
        """The config at this level.

        Raises:
            InvalidSettings: If the patch does not fit the config; located inside the patch.
        """
        return apply_patch(config, self.patch)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedAxis:
    """An axis that comes with the project."""

    name: str
    doc: str
    """What varies along it and what it answers."""
    levels: Callable[[TrainerConfig], tuple[Level, ...]]
    """Its levels for a baseline."""
    find: Callable[[str, TrainerConfig], Level | None] | None = None
    """Levels that are spelled rather than listed, such as `scenes+digits`."""
    when: str | None = None
    """A condition under which it matters at all."""
    inactive_unless: Mapping[str, str] = field(default_factory=lambda: _NO_CONDITIONS)
    """Settings (or sections) that only matter under a condition."""

    def level(self, name: str, baseline: TrainerConfig) -> Level | None:
        """The level of that name, or None."""
        for level in self.levels(baseline):
            if level.name == name:
                return level
        return self.find(name, baseline) if self.find is not None else None


def trains_the_same(first: TrainerConfig, second: TrainerConfig) -> bool:
    """Whether two configs train the same weights, machine and benchmarks aside."""
    return training_text(first) == training_text(second)


def training_text(config: TrainerConfig) -> str:
    """Equal for configs that train the same weights from data and backbones of the same name."""
    return canonical_json(active_settings(config))


def value_name(value: object) -> str:
    """A value as a level's name: as it is written in a file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text.replace("e-0", "e-") if isinstance(value, float) else text  # 1e-5
