"""The memory estimate against measured peaks, and the layouts it leads to."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from infra.errors import InputError
from tests.benchmarks.gang_memory import gang_config, gang_peak
from tests.benchmarks.memory import estimate, estimated, measured_elsewhere, peak_and_estimate
from tests.trainer.tiny_models import KINDS, VISION_KINDS
from trainer.backbone_entries import BackboneEntry
from trainer.catalog import lookup
from trainer.config import BackboneConfig, TrainerConfig
from trainer.devices import Devices, layout_text, settled_on
from trainer.layouts import settle_machine
from trainer.memory import GIB, MemoryEstimate, estimate_memory
from trainer.strategy_config import Precision


def config_of(**sections: Any) -> TrainerConfig:  # noqa: ANN401 -- any settings
    return TrainerConfig.model_validate(
        {"strategy": {"batch_pairs": 64, "precision": "bf16"}, **sections}
    )


def entry(family: str, scale: str) -> BackboneEntry:
    return lookup(BackboneConfig(family=family, scale=scale))


def test_it_imports_no_torch() -> None:
    program = "import sys, trainer.layouts; sys.exit('torch' in sys.modules)"

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


RESTING = {"vision": True, "projector": True, "language_model": True}
FREE = dict.fromkeys(RESTING, False)


def test_a_phase_that_trains_more_is_what_has_to_fit() -> None:
    backbone = entry("qwen2.5-vl", "7b")

    def total(freeze: dict[str, bool], *phases: dict[str, bool]) -> float:
        told = [{"share": 1 / len(phases), "freeze": each} for each in phases]
        strategy = {"batch_pairs": 64, "precision": "bf16", "freeze": freeze, "phases": told}
        return estimate_memory(config_of(strategy=strategy), backbone).total

    projector = RESTING | {"projector": False}
    assert total(RESTING, RESTING, FREE) == total(FREE)
    assert total(RESTING) < total(projector) < total(projector, RESTING, FREE)


def test_adapters_need_neither_gradients_nor_moments_of_what_they_stand_on() -> None:
    backbone = entry("qwen2.5-vl", "7b")

    def of_rank(rank: int) -> MemoryEstimate:
        strategy = {"batch_pairs": 64, "precision": "bf16", "freeze": FREE, "lora": {"rank": rank}}
        return estimate_memory(config_of(strategy=strategy), backbone)

    adapters = of_rank(8)
    assert adapters.optimizer == 2 * adapters.gradients
    assert 0.001 < adapters.gradients / of_rank(0).gradients < 0.02
    assert adapters.gradients < of_rank(64).gradients


def test_known_figures_of_a_seven_billion_model() -> None:
    backbone = entry("qwen2.5-vl", "7b")
    estimate = estimate_memory(config_of(), backbone)

    language = backbone.parameters - backbone.vision_parameters
    assert estimate.weights == 4 * backbone.parameters
    assert estimate.gradients == 4 * language
    assert estimate.optimizer == 8 * language


def test_muon_keeps_one_moment_of_what_are_no_words() -> None:
    backbone = entry("qwen2.5-vl", "7b")
    language = backbone.parameters - backbone.vision_parameters

    def moments(freeze: dict[str, bool]) -> float:
        strategy = {"batch_pairs": 64, "optimizer": "muon", "freeze": freeze}
        return estimate_memory(config_of(strategy=strategy), backbone).optimizer / 4

    words_rest = RESTING | {"vision": False}
    assert language < moments(RESTING | {"language_model": False}) < 1.4 * language
    assert moments(words_rest) == 2 * backbone.vision_parameters


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


def test_auto_takes_the_devices_there_are_and_what_fits_them() -> None:
    config = TrainerConfig.model_validate(
        {
            "strategy": {"batch_pairs": 64, "precision": "bf16"},
            "backbone": {"family": "qwen2.5-vl", "scale": "7b"},
            "machine": {"threads": 3},
        }
    )

    four = settled_on(Devices(count=8, gib=80, accelerated=True), config)
    one = settled_on(Devices(count=1, gib=140, accelerated=True), config)

    assert (four.machine.workers, four.machine.threads) == (4, 3)
    assert one.machine.workers == 1
    assert layout_text(one).startswith("1 worker, ZeRO stage 0, ")
    with pytest.raises(InputError, match=r"does not fit: .* and there are 38\.5"):
        settled_on(Devices(count=2, gib=40, accelerated=True), config)


MOST = {("smolvlm", False): 2.8}
"""Upper bounds by family and whether vision is frozen. Real SmolVLM makes one token of 9 or 16
patches; this tiny one of 4, so that its vision tower keeps less than is expected."""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    ("kind", "frozen"),
    [
        (kind, frozen)
        for kind in KINDS
        for frozen in (False, True)
        if frozen or kind in VISION_KINDS
    ],
)
def test_no_step_takes_more_than_the_estimate_in_any_family(
    kind: str, frozen: bool, checkpointing: bool, precision: Precision
) -> None:
    peak, estimated = peak_and_estimate(
        kind, frozen=frozen, checkpointing=checkpointing, precision=precision
    )

    assert 1.0 < estimated / peak < MOST.get((kind, frozen), 1.9)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("contestant", ["ours", "ours, checkpointed"])
def test_the_estimate_is_near_the_measured_peak_of_a_process(contestant: str, frozen: bool) -> None:
    measured = measured_elsewhere(contestant, frozen=frozen)

    assert 0.9 < estimate(contestant, frozen=frozen) / measured < 1.6


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 3])  # where the estimate was too low, and is nearest
def test_a_rank_of_a_gang_takes_no_more_than_the_estimate(stage: int) -> None:
    config = gang_config(stage, frozen=False, checkpointing=True)

    assert 0.95 < estimated(config).total / gang_peak(config) < 1.4
