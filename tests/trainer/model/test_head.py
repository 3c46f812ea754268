"""The reward head: depth, width, start, and float32 whatever surrounds it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.head_config import Activation, HeadConfig
from trainer.model.head import ACTIVATIONS, RewardHead


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_a_head_has_the_layers_and_activations_it_was_asked_for(
    layers: int, activation: Activation
) -> None:
    head = RewardHead(HeadConfig(layers=layers, activation=activation), 8, seed=0)

    linear = [part for part in head.layers if isinstance(part, nn.Linear)]
    between = [part for part in head.layers if type(part) is ACTIVATIONS[activation]]
    assert len(linear) == layers
    assert len(between) == layers - 1
    assert head(torch.randn(3, 8)).shape == (3,)


def test_the_hidden_width_is_the_one_asked_for() -> None:
    head = RewardHead(HeadConfig(layers=3, hidden_size=5), 8, seed=0)

    linear = [part for part in head.layers if isinstance(part, nn.Linear)]
    assert [(part.in_features, part.out_features) for part in linear] == [(8, 5), (5, 5), (5, 1)]


def test_the_start_depends_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = RewardHead(HeadConfig(), 8, seed=3)
    torch.manual_seed(2)
    again = RewardHead(HeadConfig(), 8, seed=3)
    other = RewardHead(HeadConfig(), 8, seed=4)

    states = torch.randn(5, 8)
    assert torch.equal(first(states), again(states))
    assert not torch.equal(first(states), other(states))


def test_the_initial_scale_scales_the_first_scores() -> None:
    states = torch.randn(5, 8)
    plain = RewardHead(HeadConfig(), 8, seed=0)
    scaled = RewardHead(HeadConfig(initial_scale=0.1), 8, seed=0)

    assert torch.allclose(scaled(states), 0.1 * plain(states), atol=1e-7)


def test_scores_stay_float32_under_autocast() -> None:
    head = RewardHead(HeadConfig(), 8, seed=0)
    states = torch.randn(64, 8)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = head(states)

    assert scores.dtype is torch.float32
    assert torch.equal(scores, head(states))


def test_dropout_acts_in_training_only() -> None:
    head = RewardHead(HeadConfig(dropout=0.5), 32, seed=0)
    states = torch.randn(4, 32)

    trained = [head.train()(states) for _ in range(2)]
    scored = [head.eval()(states) for _ in range(2)]

    assert not torch.equal(*trained)
    assert torch.equal(*scored)


def test_a_learned_scale_starts_at_one_and_scales_every_score() -> None:
    states = torch.randn(5, 8)
    plain = RewardHead(HeadConfig(), 8, seed=0)
    scaled = RewardHead(HeadConfig(learn_scale=True), 8, seed=0)

    assert torch.equal(scaled(states), plain(states))
    assert scaled.log_scale is not None
    (gradient,) = torch.autograd.grad(scaled(states).sum(), scaled.log_scale)
    assert gradient.item() == pytest.approx(plain(states).sum().item(), rel=1e-5)
    torch.nn.init.constant_(scaled.log_scale, 2.0)
    assert torch.allclose(scaled(states), plain(states) * torch.e**2)


def test_everything_in_a_head_is_float32() -> None:
    head = RewardHead(HeadConfig(layers=3, pooling="attention", learn_scale=True), 8, seed=0)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head.attend(torch.randn(2, 3, 8, dtype=torch.bfloat16)).dtype is torch.float32

    assert {parameter.dtype for parameter in head.parameters()} == {torch.float32}
