"""Footprints: what sharing, freezing and recomputing save, in the order of published figures."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import InputError
from search_spaces.patches import apply_patch
from sweep.engine.planning.cost_model import DEVICE_RATES
from sweep.engine.planning.footprint import Footprint, footprint
from sweep.engine.planning.plan import SweepPlan, make_plan
from sweep.spec.baseline import load_trainer_config
from sweep.spec.resolve import resolve
from sweep.spec.sweep_spec import SweepSpec
from tests.engine.known_digests import KnownDigests

LARGE = load_trainer_config("basereward-7b")


def of(**changes: Any) -> Footprint:  # noqa: ANN401 -- any setting
    patch = {path.replace("__", "."): value for path, value in changes.items()}
    return footprint(apply_patch(LARGE, patch), device="h100")


def test_full_training_of_eight_billion_on_one_device_needs_over_a_hundred_gib() -> None:
    # 16 bytes per parameter in mixed precision (ZeRO, section 3.1) before any activation.
    whole = of(machine__workers=1, machine__zero_stage=0)

    assert 16 * 8.29e9 / 2**30 * 0.95 < whole.device_gib < 180


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_every_stage_of_sharing_needs_less(stage: int) -> None:
    assert of(machine__zero_stage=stage).device_gib < of(machine__zero_stage=stage - 1).device_gib


def test_freezing_and_recomputing_need_less() -> None:
    recomputed = of(machine__gradient_checkpointing=True)
    kept = of(machine__gradient_checkpointing=False)
    frozen = of(
        strategy__freeze={"vision": True, "projector": True, "language_model": True},
    )

    assert recomputed.device_gib < kept.device_gib
    assert frozen.device_gib < recomputed.device_gib
    assert frozen.checkpoint_gib < recomputed.checkpoint_gib


def test_a_smaller_micro_batch_needs_less_and_leaves_the_same() -> None:
    small, large = of(machine__micro_batch_pairs=1), of(machine__micro_batch_pairs=8)

    assert small.device_gib < large.device_gib
    assert small.stored_gib == large.stored_gib


def laid_out(resources: object, *, baseline: str = "basereward-7b") -> SweepPlan:
    """The plan of one training that was given a single worker, on eight devices of 80 GiB."""
    spec = SweepSpec.model_validate(
        {
            "name": "large",
            "baseline": baseline,
            "set": {"machine.workers": 1, "machine.zero_stage": 0},
            "axes": {"head.layers": [1, 2]},
            "resources": resources,
        }
    )
    h100 = DEVICE_RATES["h100"]
    return make_plan(resolve(spec), digests=KnownDigests(), devices=8, device=h100, gib=h100.gib)


@pytest.mark.parametrize("resources", ["auto", {"gib": 40}, {"gib": 140, "at_most": 4}])
def test_trials_that_do_not_fit_are_laid_out_where_that_is_asked_for(resources: object) -> None:
    given, settled = laid_out("given"), laid_out(resources)

    assert {trial.workers for trial in given.trials} == {1}
    own = resources if isinstance(resources, dict) else {}
    for trial, arm in zip(settled.trials, settled.arms * 3, strict=True):
        assert 1 < trial.workers == arm.config.machine.workers <= own.get("at_most", 8)
        assert footprint(trial.config, device="h100").device_gib <= own.get("gib", 80)
    # The same trainings, in the same sweep.
    assert [t.identity for t in settled.trials] == [t.identity for t in given.trials]
    assert settled.sweep_id == given.sweep_id


def test_a_trial_that_fits_stays_as_it_is_given() -> None:
    tiny = laid_out("auto", baseline="basereward-tiny")

    assert {trial.config.machine.workers for trial in tiny.trials} == {1}


def test_a_trial_that_fits_in_no_way_is_refused() -> None:
    with pytest.raises(InputError, match="does not fit: the smallest layout on at most 2 workers"):
        laid_out({"gib": 10, "at_most": 2})
