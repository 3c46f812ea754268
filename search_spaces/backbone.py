"""The `backbone` axis: which pretrained model the reward model is built on (paper, Table 6).

A family by name keeps the baseline's scale; `family/scale` names both.
"""

from __future__ import annotations

from infra.errors import BackboneError
from search_spaces.levels import Level, ShippedAxis
from trainer.backbone_entries import BackboneEntry
from trainer.catalog import entries, lookup
from trainer.config import TrainerConfig


def relative_cost(entry: BackboneEntry, baseline: TrainerConfig) -> float:
    """Parameters against the baseline's: what a pair costs, as far as a count can tell."""
    try:
        return entry.parameters / lookup(baseline.backbone).parameters
    except BackboneError:
        return 1.0


def catalog_path(baseline: TrainerConfig) -> dict[str, None]:
    """What makes a named backbone win over a baseline's own path."""
    return {"backbone.path": None} if baseline.backbone.path is not None else {}


def _levels(baseline: TrainerConfig) -> tuple[Level, ...]:
    scale = baseline.backbone.scale
    without_path = catalog_path(baseline)
    families = [entry for entry in entries() if entry.scale == scale]
    return (
        *(
            Level(
                name=entry.family,
                patch={"backbone.family": entry.family, **without_path},
                doc=f"{_origin(entry)}, at the baseline's scale",
                cost_hint=relative_cost(entry, baseline),
            )
            for entry in families
        ),
        *(
            Level(
                name=entry.name,
                patch={
                    "backbone.family": entry.family,
                    "backbone.scale": entry.scale,
                    **without_path,
                },
                doc=_origin(entry),
                cost_hint=relative_cost(entry, baseline),
            )
            for entry in entries()
        ),
    )


def _origin(entry: BackboneEntry) -> str:
    return entry.hub_id or "shipped with the project"


AXIS = ShippedAxis(
    name="backbone",
    doc="Which pretrained model the reward model is built on: `family`, or `family/scale`.",
    levels=_levels,
)
