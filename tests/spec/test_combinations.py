"""Designs, seeds and schedulers that would work against each other are refused with the reason."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from infra.errors import SpecError
from sweep.spec.resolve import resolve
from sweep.spec.sweep_spec import SweepSpec

RACE = {"race": True, "initial": 2, "at_most": 6}
STAGED = {"kind": "staged", "stages": [{"name": "depth", "axes": ["head.layers"]}]}
TPE = {"kind": "tpe", "trials": 5}


def sweep(**sections: object) -> SweepSpec:
    axes = {"head.layers": [1, 2, 3]}
    return SweepSpec.model_validate({"name": "heads", "axes": axes} | sections)


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        pytest.param({"replicates": RACE, "scheduler": {"kind": "asha"}}, "rungs stop them before",
                     id="race and rungs"),
        pytest.param({"replicates": RACE, "design": TPE}, "adds arms while it runs",
                     id="race and search"),
        pytest.param({"axes": {}, "design": TPE}, "needs an axis", id="search without axes"),
        pytest.param(
            {"design": TPE | {"also": [{"metric": "margin"}]}, "scheduler": {"kind": "asha"}},
            "nothing tells which arm is ahead", id="several objectives and rungs"),
        pytest.param(
            {"design": {"kind": "staged", "stages": [{"name": "a", "axes": ["head.layer"]}]}},
            "did you mean", id="stage over an unknown axis"),
        pytest.param(
            {"axes": {"head.layers": [1, 2], "head.dropout": [0.0, 0.1]},
             "design": {"kind": "staged", "stages": [{"name": "a", "axes": ["head.layers"]}]}},
            "no stage varies it", id="axis without a stage"),
        pytest.param({"design": STAGED, "replicates": {"seeds": 1}}, "one seed cannot say",
                     id="support by one seed"),
        pytest.param({"design": STAGED, "budget": {"per_stage": {"dept": {"trials": 3}}}},
                     "unknown stage 'dept'; did you mean 'depth'", id="budget of no stage"),
        pytest.param({"budget": {"per_stage": {"depth": {"trials": 3}}}}, "has no stages",
                     id="stage budget without stages"),
        pytest.param({"design": STAGED, "budget": {"per_stage": {"depth": {"usd": 3}}}},
                     "needs a price", id="stage budget without a price"),
        pytest.param({"budget": {"hours": 1, "warn_at": 0.97}}, "before nothing new begins",
                     id="warning after draining"),
    ],
)  # fmt: skip
def test_what_cannot_be_combined_is_refused(sections: dict[str, object], reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        resolve(sweep(**sections))


@pytest.mark.parametrize(
    "replicates",
    [
        {"race": True},
        {"race": True, "initial": 4, "at_most": 4},
        {"race": True, "initial": 2, "at_most": 6, "seeds": 5},
        {"initial": 2},
    ],
)
def test_a_race_that_is_half_said_is_refused(replicates: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        sweep(replicates=replicates)


@pytest.mark.parametrize(
    "design",
    [
        {"kind": "optuna", "sampler": "GridSampler"},
        {"kind": "tpe", "sampler": "GPSampler"},
        {"kind": "optuna", "sampler": "CmaEsSampler", "also": [{"metric": "margin"}]},
        {"kind": "staged", "stages": []},
        {"kind": "staged", "stages": [{"name": "a", "axes": ["x"]}, {"name": "b", "axes": ["x"]}]},
    ],
)
def test_a_design_that_cannot_work_is_refused(design: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        sweep(design=design)


@pytest.mark.parametrize(
    ("sampler", "instead"),
    [
        ("GridSampler", "design: {kind: grid}"),
        ("BruteForceSampler", "design: {kind: grid}"),
        ("PartialFixedSampler", "put them into `set` and leave them out of `axes`"),
    ],
)
def test_a_sampler_that_another_design_does_better_is_refused_with_what_to_write(
    sampler: str, instead: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(instead)):
        sweep(design={"kind": "optuna", "sampler": sampler})


def test_a_race_survives_being_written_and_read() -> None:
    spec = sweep(replicates=RACE)

    assert SweepSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert spec.replicates.seeds == 2
