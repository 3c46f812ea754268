"""Plans of one design each, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import SpecError
from sweep.engine.planning.plan import SweepPlan, make_plan
from sweep.spec.resolve import resolve
from sweep.spec.sweep_spec import SweepSpec
from tests.engine.known_digests import KnownDigests

TRICKS = {
    "length": {"strategy.length_normalization": True},
    "zero": {"strategy.zero_coefficient": 0.01},
    "smooth": {"strategy.label_smoothing": 0.1},
}
SOURCES = ["scenes", "digits", "text"]


def plan_of(design: dict[str, Any] | str, **fields: Any) -> SweepPlan:  # noqa: ANN401
    """The plan of a sweep with one seed."""
    wanted = {"kind": design} if isinstance(design, str) else design
    asked = {"name": "sweep", "design": wanted, "replicates": {"seeds": 1}, **fields}
    return make_plan(resolve(SweepSpec.model_validate(asked)), digests=KnownDigests())


def problems_of(design: dict[str, Any] | str, **fields: Any) -> list[str]:  # noqa: ANN401
    with pytest.raises(SpecError) as caught:
        plan_of(design, **fields)
    return [str(problem) for problem in caught.value.problems]


def names(plan: SweepPlan) -> list[str]:
    return [arm.name for arm in plan.arms]
