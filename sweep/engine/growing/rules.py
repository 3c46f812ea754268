"""`make_growth`: the rule by which the sweep of a file grows."""

from __future__ import annotations

from sweep.engine.growing.growth import Growth, NoGrowth, Space
from sweep.engine.growing.racing import RaceGrowth
from sweep.engine.growing.searching import SearchGrowth
from sweep.engine.growing.staging import StageGrowth
from sweep.spec.design_spec import SearchDesign, StagedDesign
from sweep.spec.sweep_spec import SweepSpec


def grows(spec: SweepSpec) -> bool:
    """Whether a sweep may get more trials than were planned."""
    return spec.replicates.race or isinstance(spec.design, SearchDesign | StagedDesign)


def make_growth(spec: SweepSpec, space: Space | None) -> Growth:
    """The growth of a sweep; none where its trials were all planned or its space is not known."""
    if space is None:
        return NoGrowth()
    if isinstance(spec.design, SearchDesign):
        return SearchGrowth(spec, spec.design, space)
    if isinstance(spec.design, StagedDesign):
        return StageGrowth(spec, spec.design, space)
    return RaceGrowth(spec, space) if spec.replicates.race else NoGrowth()
