"""Losses against hand computations and the paper's formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from trainer.config import StrategyConfig
from trainer.losses import length_normalized, pair_losses, sequence_losses, verdict_losses

scores = st.floats(-20, 20, allow_nan=False, width=32)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_equal_scores_cost_the_logarithm_of_two() -> None:
    losses = pair_losses(torch.tensor([3.0]), torch.tensor([3.0]), StrategyConfig())

    assert losses.tolist() == pytest.approx([math.log(2)])


@given(chosen=scores, rejected=scores)
def test_the_plain_loss_is_equation_one_of_the_paper(chosen: float, rejected: float) -> None:
    loss = pair_losses(
        torch.tensor([chosen], dtype=torch.float64),
        torch.tensor([rejected], dtype=torch.float64),
        StrategyConfig(),
    )

    assert loss.item() == pytest.approx(math.log1p(math.exp(-(chosen - rejected))), abs=1e-9)


@given(chosen=scores, rejected=scores, coefficient=st.sampled_from([0.001, 0.01, 0.1]))
def test_the_zero_coefficient_adds_the_square_of_the_sum(
    chosen: float, rejected: float, coefficient: float
) -> None:
    pair = torch.tensor([chosen], dtype=torch.float64), torch.tensor([rejected])
    plain = pair_losses(*pair, StrategyConfig())

    loss = pair_losses(*pair, StrategyConfig(zero_coefficient=coefficient))

    assert (loss - plain).item() == pytest.approx(coefficient * (chosen + rejected) ** 2, abs=1e-6)


def test_a_margin_is_asked_for_only_when_the_strategy_uses_it() -> None:
    pair = torch.tensor([1.0]), torch.tensor([0.0])
    margins = torch.tensor([3.0])

    unused = pair_losses(*pair, StrategyConfig(), margins=margins)
    used = pair_losses(*pair, StrategyConfig(use_margin=True), margins=margins)

    assert unused.item() == pytest.approx(-math.log(sigmoid(1)))
    assert used.item() == pytest.approx(-math.log(sigmoid(1 - 3)))


def test_label_smoothing_mixes_in_the_other_label() -> None:
    loss = pair_losses(
        torch.tensor([2.0]), torch.tensor([0.0]), StrategyConfig(label_smoothing=0.1)
    )

    assert loss.item() == pytest.approx(-0.9 * math.log(sigmoid(2)) - 0.1 * math.log(sigmoid(-2)))


def test_with_a_margin_the_other_label_asks_for_the_margin_the_other_way() -> None:
    strategy = StrategyConfig(label_smoothing=0.25, use_margin=True)

    loss = pair_losses(
        torch.tensor([2.0]), torch.tensor([0.5]), strategy, margins=torch.tensor([1.0])
    )

    expected = -0.75 * math.log(sigmoid(0.5)) - 0.25 * math.log(sigmoid(-2.5))
    assert loss.item() == pytest.approx(expected)


def test_far_apart_scores_keep_a_finite_loss_and_gradient() -> None:
    chosen = torch.tensor([-3e4], requires_grad=True)

    loss = pair_losses(chosen, torch.tensor([3e4]), StrategyConfig(label_smoothing=0.1)).sum()
    (gradient,) = torch.autograd.grad(loss, chosen)

    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_length_normalization_divides_by_the_logarithm_and_survives_empty_responses() -> None:
    normalized = length_normalized(torch.full((4,), 6.0), torch.tensor([0, 1, 9, 99]))

    expected = [6 / math.log(2), 6 / math.log(2), 6 / math.log(10), 6 / math.log(100)]
    assert normalized.tolist() == pytest.approx(expected)


def test_a_sequence_counts_the_same_however_long_it_is() -> None:
    logits = torch.randn(5, 7)
    labels = torch.tensor([1, 2, 3, 4, 5])

    losses = sequence_losses(logits, labels, torch.tensor([0, 0, 0, 0, 2]), 3)

    each = functional.cross_entropy(logits, labels, reduction="none")
    assert losses.tolist() == pytest.approx([each[:4].mean().item(), 0.0, each[4].item()])


def test_a_verdict_costs_its_negative_log_likelihood() -> None:
    likelihood = torch.log(torch.tensor([[0.7, 0.2], [0.1, 0.6]]))

    losses = verdict_losses(likelihood, torch.tensor([0, 0]), label_smoothing=0.1)

    expected = [-0.9 * math.log(0.7) - 0.1 * math.log(0.2)]
    expected += [-0.9 * math.log(0.1) - 0.1 * math.log(0.6)]
    assert losses.tolist() == pytest.approx(expected)
