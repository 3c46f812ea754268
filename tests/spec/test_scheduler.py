"""Rungs in a sweep file: where they lie, and when they are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from infra.errors import SpecError
from sweep.engine.planning.early_stops import with_rungs
from sweep.spec.resolve import resolve
from sweep.spec.scheduler_spec import AshaScheduler
from sweep.spec.sweep_spec import SweepSpec


def sweep(scheduler: dict[str, object], **settings: object) -> SweepSpec:
    """A small sweep of 64 optimizer steps."""
    return SweepSpec.model_validate(
        {
            "name": "heads",
            "baseline": {"data.pairs": 4096, "strategy.batch_pairs": 64, "strategy.epochs": 1},
            "axes": {"head.layers": [1, 2, 3]},
            "scheduler": scheduler,
        }
        | settings
    )


def test_rungs_are_fractions_that_grow_by_the_reduction_and_end_before_the_end() -> None:
    spec = AshaScheduler.model_validate({"kind": "asha", "reduction": 3, "first": "1/27"})

    assert spec.rungs == pytest.approx((1 / 27, 1 / 9, 1 / 3))
    assert AshaScheduler(first=0.3, reduction=4).rungs == (0.3,)


@pytest.mark.parametrize("first", ["1/0", "2/1", "a/b", "1/3/3", 0, 1, -0.5, True, None])
def test_a_first_rung_that_is_no_fraction_is_refused(first: object) -> None:
    with pytest.raises(ValidationError):
        AshaScheduler.model_validate({"kind": "asha", "first": first})


def test_rungs_become_evaluations_of_the_objective_and_change_no_identity() -> None:
    spec = sweep({"kind": "asha", "first": "1/4", "reduction": 2})
    config = resolve(spec).baseline

    changed = with_rungs(config, spec)

    assert changed.evaluation.during == (0.25, 0.5)
    assert changed.evaluation.monitor == "validation"
    assert changed.model_copy(update={"evaluation": config.evaluation}) == config


def test_rungs_that_an_arm_is_too_short_for_are_refused_with_the_shortest_arm() -> None:
    spec = sweep({"kind": "asha", "first": "1/81"}, axes={"strategy.epochs": [1, 0.25]})

    with pytest.raises(SpecError, match=r"strategy\.epochs=0\.25 has only 16 optimizer steps"):
        resolve(spec)
