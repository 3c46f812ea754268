"""Losses against hand computations and the paper's formulas."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional

from trainer.strategy_config import NoiseCorrection, StrategyConfig
from trainer.training.losses import (
    length_normalized,
    listwise_losses,
    pair_losses,
    sequence_losses,
    tie_losses,
    verdict_losses,
    zero_penalties,
)

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
def test_the_zero_coefficient_is_the_square_of_the_sum(
    chosen: float, rejected: float, coefficient: float
) -> None:
    pair = torch.tensor([chosen], dtype=torch.float64), torch.tensor([rejected])

    penalty = zero_penalties(*pair, StrategyConfig(zero_coefficient=coefficient))

    assert penalty.item() == pytest.approx(coefficient * (chosen + rejected) ** 2, abs=1e-6)


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

    losses = verdict_losses(likelihood, torch.tensor([0, 0]), StrategyConfig(label_smoothing=0.1))

    expected = [-0.9 * math.log(0.7) - 0.1 * math.log(0.2)]
    expected += [-0.9 * math.log(0.1) - 0.1 * math.log(0.6)]
    assert losses.tolist() == pytest.approx(expected)


def test_a_soft_verdict_is_shared_between_the_two() -> None:
    likelihood = torch.log(torch.tensor([[0.7, 0.2], [0.7, 0.2]]))

    losses = verdict_losses(
        likelihood, torch.tensor([0, 1]), StrategyConfig(), soft_labels=torch.tensor([0.5, 1.0])
    )

    assert losses.tolist() == pytest.approx(
        [-0.5 * math.log(0.7) - 0.5 * math.log(0.2), -math.log(0.2)]
    )


def test_a_soft_label_is_the_expected_loss_and_used_only_on_request() -> None:
    pair = torch.tensor([1.0]), torch.tensor([0.0])
    soft = torch.tensor([0.75])

    unused = pair_losses(*pair, StrategyConfig(), soft_labels=soft)
    used = pair_losses(*pair, StrategyConfig(use_soft_labels=True), soft_labels=soft)

    assert unused.item() == pytest.approx(-math.log(sigmoid(1)))
    assert used.item() == pytest.approx(-0.75 * math.log(sigmoid(1)) - 0.25 * math.log(sigmoid(-1)))


NOISE: tuple[NoiseCorrection, ...] = get_args(NoiseCorrection)


@given(
    chosen=scores,
    rejected=scores,
    smoothing=st.sampled_from([0.0, 0.1, 0.4]),
    correction=st.sampled_from(NOISE),
    margin=st.sampled_from([0.0, 1.5]),
)
def test_a_list_of_two_costs_what_the_pair_costs(
    chosen: float, rejected: float, smoothing: float, correction: NoiseCorrection, margin: float
) -> None:
    strategy = StrategyConfig(
        label_smoothing=smoothing, noise_correction=correction, use_margin=True
    )
    both = torch.tensor([[chosen, rejected]], dtype=torch.float64)
    margins = torch.tensor([margin], dtype=torch.float64)

    pair = pair_losses(both[:, 0], both[:, 1], strategy, margins=margins)
    listed = listwise_losses(both, strategy, margins=margins)

    assert listed.item() == pytest.approx(pair.item(), abs=1e-9)


def test_a_choice_is_the_cross_entropy_of_its_first_and_ignores_empty_places() -> None:
    values = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.5, -torch.inf]])

    losses = listwise_losses(values, StrategyConfig())

    expected = [-math.log(math.exp(0.3) / sum(map(math.exp, (0.3, -1.0, 2.0))))]
    assert losses.tolist() == pytest.approx([*expected, -math.log(sigmoid(0.5))])


@pytest.mark.parametrize("correction", NOISE)
def test_empty_places_take_no_gradient(correction: NoiseCorrection) -> None:
    values = torch.tensor([[0.3, -1.0, 2.0]], requires_grad=True)
    padded = torch.cat([values, torch.full((1, 1), -torch.inf)], 1)
    strategy = StrategyConfig(label_smoothing=0.2, noise_correction=correction)

    plain, filled = listwise_losses(values, strategy), listwise_losses(padded, strategy)
    gradients = [torch.autograd.grad(loss.sum(), values)[0] for loss in (plain, filled)]

    torch.testing.assert_close(plain, filled)
    torch.testing.assert_close(*gradients)


@given(st.lists(scores, min_size=3, max_size=6), st.sampled_from([0.1, 0.3]))
def test_the_unbiased_loss_has_the_noise_free_one_as_its_mean(
    values: list[float], noise: float
) -> None:
    strategy = StrategyConfig(label_smoothing=noise, noise_correction="unbiased")
    listed = torch.tensor([values], dtype=torch.float64)
    clean = listwise_losses(listed, StrategyConfig()).item()

    said = []
    for index in range(len(values)):  # what the loss is when the label names this one
        order = [index, *(other for other in range(len(values)) if other != index)]
        said.append(listwise_losses(listed[:, order], strategy).item())

    wrong = noise / (len(values) - 1)
    mean = (1 - noise) * said[0] + wrong * sum(said[1:])
    assert mean == pytest.approx(clean, abs=1e-6)


@given(chosen=scores, rejected=scores)
def test_forward_correction_is_the_likelihood_of_the_noisy_label(
    chosen: float, rejected: float
) -> None:
    strategy = StrategyConfig(label_smoothing=0.2, noise_correction="forward")

    loss = pair_losses(
        torch.tensor([chosen], dtype=torch.float64),
        torch.tensor([rejected], dtype=torch.float64),
        strategy,
    )

    right = sigmoid(chosen - rejected)
    assert loss.item() == pytest.approx(-math.log(0.8 * right + 0.2 * (1 - right)), abs=1e-6)
    assert loss.item() <= -math.log(0.2) + 1e-6  # an outlier costs no more


@given(first=scores, second=scores, threshold=st.sampled_from([0.2, 0.7, 2.0]))
def test_rao_and_kuppers_three_outcomes_add_up_to_one(
    first: float, second: float, threshold: float
) -> None:
    strategy = StrategyConfig(ties="rao_kupper", tie_threshold=threshold)
    one = torch.tensor([first], dtype=torch.float64)
    two = torch.tensor([second], dtype=torch.float64)

    losses = pair_losses(one, two, strategy), pair_losses(two, one, strategy)
    outcomes = [*losses, tie_losses(one, two, strategy)]

    assert sum(math.exp(-loss.item()) for loss in outcomes) == pytest.approx(1)


def test_equal_scores_tie_as_likely_as_the_threshold_says() -> None:
    strategy = StrategyConfig(ties="rao_kupper")

    loss = tie_losses(torch.tensor([2.0]), torch.tensor([2.0]), strategy)

    assert math.exp(-loss.item()) == pytest.approx(math.tanh(strategy.tie_threshold / 2))


def test_a_squared_tie_costs_the_squared_difference_by_its_weight() -> None:
    strategy = StrategyConfig(ties="square", tie_weight=0.5)

    assert tie_losses(torch.tensor([3.0]), torch.tensor([1.0]), strategy).item() == 2.0


@pytest.mark.parametrize("smoothing", [0.5, 0.7, 1.0, -0.1])
def test_labels_more_likely_wrong_than_right_are_refused(smoothing: float) -> None:
    with pytest.raises(ValidationError, match="label_smoothing"):
        StrategyConfig(label_smoothing=smoothing)


def test_a_model_of_tied_pairs_wants_pairs() -> None:
    with pytest.raises(ValidationError, match="needs loss 'bradley_terry', got 'plackett_luce'"):
        StrategyConfig(loss="plackett_luce", ties="rao_kupper")
