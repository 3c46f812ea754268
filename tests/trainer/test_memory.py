"""The memory estimate against measured peaks, and the layouts it leads to."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from infra.errors import InputError
from trainer.backbone_entries import BackboneEntry
from trainer.catalog import lookup
from trainer.config import BackboneConfig, TrainerConfig
from trainer.memory import GIB, estimate_memory, settle_machine


def config_of(**sections: Any) -> TrainerConfig:  # noqa: ANN401 -- any settings
    return TrainerConfig.model_validate(
        {"strategy": {"batch_pairs": 64, "precision": "bf16"}, **sections}
    )


def entry(family: str, scale: str) -> BackboneEntry:
    return lookup(BackboneConfig(family=family, scale=scale))


def test_it_imports_no_torch() -> None:
    program = "import sys, trainer.memory; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_way_to_save_memory_saves_some() -> None:
    backbone = entry("qwen2.5-vl", "7b")

    def total(**machine: Any) -> float:  # noqa: ANN401 -- any settings
        return estimate_memory(config_of(machine=machine), backbone).total

    gang = {"workers": 8}
    by_stage = [total(**gang, zero_stage=stage) for stage in range(4)]
    assert by_stage == sorted(by_stage, reverse=True)
    assert total(**gang, micro_batch_pairs=1) < total(**gang, micro_batch_pairs=4) < total(**gang)
    assert total(**gang, gradient_checkpointing=True) < total(**gang)
    frozen = config_of(
        strategy={
            "batch_pairs": 64,
            "freeze": {"vision": True, "projector": True, "language_model": True},
        }
    )
    assert estimate_memory(frozen, backbone).total < 8 * backbone.parameters


def test_known_figures_of_a_seven_billion_model() -> None:
    backbone = entry("qwen2.5-vl", "7b")
    estimate = estimate_memory(config_of(), backbone)

    language = backbone.parameters - backbone.vision_parameters
    assert estimate.weights == 4 * backbone.parameters
    assert estimate.gradients == 4 * language
    assert estimate.optimizer == 8 * language


def test_the_smallest_gang_that_fits_is_taken() -> None:
    tiny = settle_machine(config_of(), entry("tiny-qwen2.5-vl", "s"), gib=8, max_workers=8)
    assert (tiny.workers, tiny.zero_stage, tiny.gradient_checkpointing) == (1, 0, False)

    backbone = entry("qwen2.5-vl", "7b")
    large = settle_machine(config_of(), backbone, gib=80, max_workers=8)

    assert large.workers == 4
    assert large.zero_stage >= 2
    fits = estimate_memory(config_of().model_copy(update={"machine": large}), backbone)
    assert fits.total <= 80 * GIB
    TrainerConfig.model_validate(config_of().model_dump() | {"machine": large.model_dump()})


def test_what_fits_nowhere_is_refused_with_the_size_it_takes() -> None:
    with pytest.raises(InputError, match=r"qwen2\.5-vl/72b does not fit: .* GiB a worker"):
        settle_machine(config_of(), entry("qwen2.5-vl", "72b"), gib=80, max_workers=4)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("contestant", ["ours", "ours, checkpointed"])
def test_the_estimate_is_near_the_measured_peak(contestant: str, frozen: bool) -> None:
    from tests.benchmarks.memory import estimate, measured_elsewhere

    measured = measured_elsewhere(contestant, frozen=frozen)

    assert 0.5 < estimate(contestant, frozen=frozen) / measured < 2.0
