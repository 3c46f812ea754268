"""Scores from an inner layer: the right one, the same whether the rest is cut off or goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from infra.errors import BackboneError
from tests.trainer.model.test_reward_model import examples_of, items_for
from tests.trainer.tiny_models import KINDS, tiny_backbone
from trainer.config import TrainerConfig
from trainer.model.model_files import load_model, save_model
from trainer.model.reward_model import RewardModel


def config_of(layer: int | None, paradigm: str = "scalar") -> TrainerConfig:
    return TrainerConfig.model_validate({"paradigm": paradigm, "head": {"hidden_layer": layer}})


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_layer_k_is_what_the_k_th_layer_puts_out(kind: str) -> None:
    whole = tiny_backbone(kind)
    decoder = whole.module.get_decoder()
    inside: list[torch.Tensor] = []
    batch = examples_of(whole, items_for(whole), "scalar").batch(range(4))
    # Read from the input of the layer above: an off-by-one would show.
    decoder.layers[1].register_forward_pre_hook(
        lambda _m, args, kwargs: inside.append(args[0] if args else kwargs["hidden_states"]),
        with_kwargs=True,
    )
    RewardModel(whole, config_of(None)).eval()(batch)
    cut = RewardModel(tiny_backbone(kind), config_of(1)).eval()
    assert cut.head is not None

    scores = cut(batch)["scores"]

    states = decoder.norm(inside[0])[batch.rows.rows, batch.rows.ends]
    torch.testing.assert_close(scores, cut.head(states), rtol=1e-4, atol=1e-5)
    assert len(cut.module.get_decoder().layers) == 1


@torch.no_grad()
def test_the_last_layer_by_number_is_the_last_one() -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    batch = examples_of(backbone, items_for(backbone), "scalar").batch(range(4))

    by_number = RewardModel(backbone, config_of(2)).eval()(batch)["scores"]

    assert torch.equal(by_number, RewardModel(backbone, config_of(None)).eval()(batch)["scores"])


@torch.no_grad()
def test_a_critic_reads_an_inner_layer_and_writes_from_the_last() -> None:
    backbone = tiny_backbone("qwen2_5_vl")
    batch = examples_of(backbone, items_for(backbone), "critic").batch(range(4))
    plain = RewardModel(tiny_backbone("qwen2_5_vl"), config_of(None, "critic")).eval()(batch)
    cut = RewardModel(tiny_backbone("qwen2_5_vl"), config_of(1)).eval()(batch)

    inner = RewardModel(backbone, config_of(1, "critic")).eval()(batch)

    assert torch.equal(inner["critique_losses"], plain["critique_losses"])
    torch.testing.assert_close(inner["scores"], cut["scores"], rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_a_cut_model_saves_and_loads_with_its_scores(tmp_path: Path) -> None:
    backbone = tiny_backbone("internvl")
    model = RewardModel(backbone, config_of(1)).eval()
    batch = examples_of(backbone, items_for(backbone), "scalar").batch(range(4))

    save_model(model, tmp_path, identity="t")

    assert torch.equal(load_model(tmp_path)(batch)["scores"], model(batch)["scores"])


def test_a_layer_the_backbone_does_not_have_is_refused() -> None:
    with pytest.raises(BackboneError, match=r"head\.hidden_layer is 3.*name one of 1 to 2"):
        RewardModel(tiny_backbone("llama"), config_of(3))
