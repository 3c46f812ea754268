"""The memory estimate against measured peaks, and the layouts it leads to."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from infra.errors import InputError
from tests.trainer.tiny_models import KINDS, VISION_KINDS, tiny_backbone
from trainer.backbone_entries import BackboneEntry
from trainer.catalog import lookup
from trainer.config import BackboneConfig, DataConfig, MachineConfig, TrainerConfig
from trainer.data.mixture import training_items
from trainer.devices import Devices, layout_text, settled_on
from trainer.memory import GIB, estimate_memory, settle_machine
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Examples, ModelBatch


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


KEPT_WITHIN = 2.1
"""The estimate is made for MLPs three to five times as wide as the model; those of these tiny ones
are 1.5 to 2 times as wide, and keep as much less."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_forward_pass_keeps_is_within_the_estimate_in_every_family(kind: str) -> None:
    backbone = tiny_backbone(kind)
    shape = getattr(backbone.module.config, "text_config", backbone.module.config)
    frozen = {"freeze": {"vision": True, "projector": True}}
    config = TrainerConfig.model_validate({"head": {"layers": 1}, "strategy": frozen})
    model = RewardModel(backbone, config)
    model.begin_phase(config.strategy.freeze)
    source = "scenes" if kind in VISION_KINDS else "text"
    items = training_items(DataConfig(pairs=8, weights={source: 1.0}))
    batch = Examples(
        items, backbone, "scalar", critiques=False, frozen_vision=True, chunks=[range(8)]
    ).batch(range(8))

    kept = bytes_kept_for_backward(model.train(), batch)

    tokens = sum(example.tree.tokens for example in batch.examples)
    figures = replace(
        entry("tiny-qwen2.5-vl", "xs"),
        hidden_size=shape.hidden_size,
        layers=shape.num_hidden_layers,
    )
    one_item = config.model_copy(update={"machine": MachineConfig(micro_batch_pairs=1)})
    estimated = estimate_memory(one_item, figures, row_tokens=tokens).activations
    assert 1 < estimated / kept < KEPT_WITHIN


def bytes_kept_for_backward(model: RewardModel, batch: ModelBatch) -> int:
    """Of all tensors a forward pass keeps, weights aside; each storage counts once."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(batch)
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("contestant", ["ours", "ours, checkpointed"])
def test_the_estimate_is_near_the_measured_peak(contestant: str, frozen: bool) -> None:
    from tests.benchmarks.memory import estimate, measured_elsewhere

    measured = measured_elsewhere(contestant, frozen=frozen)

    assert 0.5 < estimate(contestant, frozen=frozen) / measured < 2.0
