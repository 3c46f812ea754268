"""The `scale` axis: how large the backbone is, within the baseline's family (paper, Table 6)."""

from __future__ import annotations

from search_spaces.backbone import catalog_path, relative_cost
from search_spaces.levels import Level, ShippedAxis
from trainer.catalog import entries
from trainer.config import TrainerConfig


def _levels(baseline: TrainerConfig) -> tuple[Level, ...]:
    return tuple(
        Level(
            name=entry.scale,
            patch={"backbone.scale": entry.scale, **catalog_path(baseline)},
            doc=f"{entry.parameters / 1e6:,.6g} million parameters",
            cost_hint=relative_cost(entry, baseline),
        )
        for entry in entries()
        if entry.family == baseline.backbone.family
    )


AXIS = ShippedAxis(
    name="scale",
    doc="How large the backbone is, within the baseline's family.",
    levels=_levels,
)
