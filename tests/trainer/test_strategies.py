"""Adapters, Muon, phases, rates, checkpointing: what moves, what rests, and what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from infra.errors import BackboneError
from infra.object_store import LocalStore
from tests.trainer.gangs.laid_out import assert_saved_whole, scores_of, train
from tests.trainer.tiny_models import tiny_backbone
from tests.trainer.trials import small_config
from trainer.model.backbone import Backbone, read_backbone
from trainer.model.low_rank import add_adapters, is_adapter, merge_adapters, plain_state
from trainer.model.reward_model import RewardModel
from trainer.strategy_config import LoraConfig
from trainer.training.optimizers import MuonWithAdamW, parameter_groups

FREE = {"vision": False, "projector": False}
HEAD_FIRST = [
    {"share": 0.5, "freeze": {"language_model": True}, "learning_rate": 1e-2},
    {"share": 0.5},
]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def moved(store: LocalStore, name: str, backbone_folder: Path) -> set[str]:
    """Weights of the saved model that are not the backbone's own any more."""
    key = f"trials/{name}/model/model.safetensors"
    folder = backbone_folder.parent / "read"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.safetensors").write_bytes(store.read(key))
    after = load_file(folder / f"{name}.safetensors")
    before = load_file(backbone_folder / "model.safetensors")
    assert set(after) == set(before)
    return {key for key, value in after.items() if not torch.equal(value, before[key])}


STRATEGIES: dict[str, dict[str, Any]] = {
    "adapters": {"lora": {"rank": 2, "dropout": 0.0}, "freeze": FREE},
    "phases": {
        "phases": [
            {"share": 0.5, "freeze": FREE | {"language_model": True}, "learning_rate": 1e-2},
            {"share": 0.5},
        ]
    },
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ranks_and_stages_do_not_change_the_training(
    strategy: str, backbone_folder: Path, store: LocalStore
) -> None:
    sections: dict[str, Any] = {
        "strategy": {"batch_pairs": 8, "learning_rate": 1e-3} | STRATEGIES[strategy],
        "data": {"pairs": 32, "weights": {"scenes": 1.0, "text": 1.0}},
    }
    plain, notebook = train(small_config(backbone_folder, **sections), store, "plain")
    assert moved(store, "plain", backbone_folder)

    for stage in (3,) if strategy == "phases" else (1, 3):
        machine = {"workers": 2, "zero_stage": stage, "micro_batch_pairs": 2}
        config = small_config(backbone_folder, machine=machine, **sections)
        outcome, laid_out = train(config, store, f"z{stage}")

        for metric in ("train/loss", "train/gradient_norm"):
            expected = pytest.approx(notebook.metric(metric), rel=1e-3)
            assert laid_out.metric(metric) == expected, (stage, metric)
        margin = "eval/validation/margin"
        assert outcome.metrics[margin] == pytest.approx(plain.metrics[margin], abs=1e-3), stage
        assert_saved_whole(store, f"z{stage}", config)


def test_adapters_move_the_weights_they_stand_on_and_no_other(
    backbone_folder: Path, store: LocalStore
) -> None:
    lora = {"rank": 2, "targets": ["q_proj", "qkv"]}
    config = small_config(
        backbone_folder, strategy={"lora": lora, "freeze": FREE | {"projector": True}}
    )

    train(config, store, "t")

    changed = moved(store, "t", backbone_folder)
    assert changed
    assert {name.split(".")[-2] for name in changed} == {"q_proj", "qkv"}
    assert_saved_whole(store, "t", config)


def test_a_frozen_part_has_no_adapters(backbone_folder: Path, store: LocalStore) -> None:
    config = small_config(
        backbone_folder, strategy={"lora": {"rank": 2}, "freeze": {"language_model": True}}
    )

    train(config, store, "t")

    assert moved(store, "t", backbone_folder) == set()


def test_unknown_targets_are_refused_naming_those_there_are() -> None:
    backbone = tiny_backbone("llama")
    lora = LoraConfig(rank=2, targets=("q_projj",))

    with pytest.raises(BackboneError, match=r"names q_projj.*are down_proj.*did you mean 'q_proj'"):
        add_adapters(backbone, lora, parts=("language_model",), seed=0)


def states_of(backbone: Backbone) -> torch.Tensor:
    row = backbone.encode_text("How many circles are there?")
    return backbone.hidden_states(
        input_ids=torch.tensor([row]), position_ids=backbone.positions([row])
    )


@torch.no_grad()
def test_merged_adapters_give_the_scores_of_those_at_work() -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    add_adapters(backbone, LoraConfig(rank=3), parts=("vision", "language_model"), seed=0)
    # In float32, weights this large make differences of up to 2.4e-4 out of rounding alone.
    backbone.module.double()
    draws = torch.Generator().manual_seed(0)
    for name, weight in backbone.module.named_parameters():
        if is_adapter(name):
            torch.nn.init.normal_(weight, std=0.3, generator=draws)
    at_work = states_of(backbone)
    plain = tiny_backbone("qwen2_5_vl")

    merge_adapters(backbone.module)

    torch.testing.assert_close(states_of(backbone), at_work, rtol=1e-6, atol=1e-6)
    assert (states_of(plain) - at_work).abs().max() > 1e-2
    state = plain_state(backbone.module)
    assert state is not None
    assert set(state) == set(plain.module.state_dict())


def test_the_first_phase_trains_the_head_alone(backbone_folder: Path, store: LocalStore) -> None:
    resting = [{"share": 1.0, "freeze": {"language_model": True}}]
    config = small_config(backbone_folder, strategy={"phases": resting})

    train(config, store, "head")
    train(small_config(backbone_folder, strategy={"phases": HEAD_FIRST}), store, "both")

    assert moved(store, "head", backbone_folder) == set()
    assert moved(store, "both", backbone_folder)


def test_rates_follow_their_parts(backbone_folder: Path) -> None:
    factors = {"head": 10.0, "vision": 0.1, "language_model": 0.5}
    config = small_config(backbone_folder, strategy={"rate_factors": factors, "freeze": FREE})
    model = RewardModel(read_backbone(backbone_folder), config)

    groups = parameter_groups(model, model.backbone, config.strategy)

    found = {id(weight): group["rate_factor"] for group in groups for weight in group["params"]}
    parts = {**model.backbone.parts(), "head": list(model.parameters(recurse=True))[-4:]}
    for part, factor in (factors | {"projector": 1.0}).items():
        assert {found[id(weight)] for weight in parts[part]} == {factor}, part
    assert len(found) == sum(len(group["params"]) for group in groups)


def test_muon_takes_the_matrices_inside_and_adamw_the_rest(backbone_folder: Path) -> None:
    config = small_config(backbone_folder, strategy={"optimizer": "muon", "freeze": FREE})
    model = RewardModel(read_backbone(backbone_folder), config)
    names = {id(weight): name for name, weight in model.named_parameters()}

    groups = parameter_groups(model, model.backbone, config.strategy)

    by_muon = {names[id(w)] for group in groups if group["muon"] for w in group["params"]}
    rest = {names[id(w)] for group in groups if not group["muon"] for w in group["params"]}
    assert any("q_proj.weight" in name for name in by_muon)
    assert not any(name.startswith("head.") or "embed_tokens" in name for name in by_muon)
    assert any("norm" in name for name in rest)


def test_muon_turns_a_matrix_by_an_orthogonal_step_of_adams_size() -> None:
    weight = torch.nn.Parameter(torch.zeros(8, 16))
    bias = torch.nn.Parameter(torch.zeros(3))
    groups = [
        {"params": [weight], "muon": True, "weight_decay": 0.0},
        {"params": [bias], "muon": False, "weight_decay": 0.0},
    ]
    optimizer = MuonWithAdamW(groups, lr=0.1, momentum=0.9)
    weight.grad = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    bias.grad = torch.ones(3)

    optimizer.step()

    strengths = torch.linalg.svdvals(weight.detach()) / (0.1 * 0.2 * 16**0.5)
    assert 0.5 < strengths.min() < strengths.max() < 1.5  # five steps of Newton and Schulz
    assert torch.allclose(bias, torch.full((3,), -0.1), atol=1e-4)


def test_a_muon_training_learns_and_is_refused_where_weights_are_cut_up(
    backbone_folder: Path, store: LocalStore
) -> None:
    strategy = {"optimizer": "muon", "learning_rate": 3e-3, "batch_pairs": 16, "steps": 24}

    _, notebook = train(
        small_config(backbone_folder, data={"pairs": 16}, strategy=strategy), store, "t"
    )

    assert notebook.metric("train/accuracy")[-1] == 1.0
    with pytest.raises(ValidationError, match=r"'muon' needs machine\.zero_stage 0, got 2"):
        small_config(backbone_folder, strategy=strategy, machine={"zero_stage": 2})


def test_recomputed_activations_train_the_same(backbone_folder: Path, store: LocalStore) -> None:
    sections: dict[str, Any] = {
        "strategy": {"freeze": FREE, "batch_pairs": 8},
        "head": {"pooling": "attention", "hidden_layer": 1},
        "paradigm": "critic",
    }
    _, kept = train(small_config(backbone_folder, **sections), store, "kept")

    _, recomputed = train(
        small_config(backbone_folder, machine={"gradient_checkpointing": True}, **sections),
        store,
        "recomputed",
    )

    assert recomputed.metric("train/loss") == pytest.approx(kept.metric("train/loss"), rel=1e-5)
    assert recomputed.metric("train/gradient_norm") == pytest.approx(
        kept.metric("train/gradient_norm"), rel=1e-4
    )
    assert np.allclose(
        scores_of(store, "recomputed")["score"].to_numpy(),
        scores_of(store, "kept")["score"].to_numpy(),
        atol=1e-4,
    )
