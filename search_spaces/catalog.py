"""Every axis that ships, by name: what `rmsweep spaces` shows and a sweep file may name."""

from __future__ import annotations

from typing import Any

from infra.errors import MissingError
from infra.findings import hint
from search_spaces import backbone, data_mix, head, paradigm, scale, strategy
from search_spaces.condition_parser import parse_condition
from search_spaces.conditions import Condition, both
from search_spaces.levels import ShippedAxis, trains_the_same
from trainer.config import TrainerConfig

AXES: dict[str, ShippedAxis] = {
    module.AXIS.name: module.AXIS
    for module in (paradigm, head, strategy, data_mix, backbone, scale)
}


def shipped_axis(name: str) -> ShippedAxis:
    """The shipped axis of that name.

    Raises:
        MissingError: If there is none; names the nearest.
    """
    if name not in AXES:
        raise MissingError(
            f"no shipped axis is called '{name}'{hint(name, AXES)}; any setting can be an axis: "
            "`rmsweep spaces --settings` lists them"
        )
    return AXES[name]


def setting_condition(path: str) -> Condition | None:
    """When a setting matters at all, from what the shipped axes say; None when always."""
    parts = path.split(".")
    prefixes = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    condition: Condition | None = None
    for axis in AXES.values():
        for setting, text in axis.inactive_unless.items():
            if setting in prefixes:
                condition = both(condition, parse_condition(text))
    return condition


def axis_rows(baseline: TrainerConfig | None = None) -> list[dict[str, Any]]:
    """One row per shipped axis: name, doc, when, names of its levels.

    Args:
        baseline: What relative levels are relative to; the default config when absent.
    """
    config = baseline or TrainerConfig()
    return [
        {
            "name": axis.name,
            "doc": axis.doc,
            "when": axis.when,
            "levels": [level.name for level in axis.levels(config)],
        }
        for axis in AXES.values()
    ]


def level_rows(name: str, baseline: TrainerConfig | None = None) -> list[dict[str, Any]]:
    """One row per level of a shipped axis: name, doc, patch, cost_hint, is_baseline.

    Raises:
        MissingError: If there is no such axis.
    """
    config = baseline or TrainerConfig()
    return [
        {
            "name": level.name,
            "doc": level.doc,
            "patch": dict(level.patch),
            "cost_hint": round(level.cost_hint, 4),
            "is_baseline": trains_the_same(level.applied(config), config),
        }
        for level in shipped_axis(name).levels(config)
    ]
