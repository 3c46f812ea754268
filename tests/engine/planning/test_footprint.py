"""Footprints: what sharing, freezing and recomputing save, in the order of published figures."""

from __future__ import annotations

from typing import Any

import pytest

from search_spaces.patches import apply_patch
from sweep.engine.planning.footprint import Footprint, footprint
from sweep.spec.baseline import load_trainer_config

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
