"""The loss of a batch: the same however a step is cut, every item by its weight, ties as asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem, Response
from trainer.prompting.examples import Example
from trainer.training.objective import REPORTED, Objective, StepWeights


def item_of(*ranks: int, weight: float = 1.0, soft_label: float | None = None) -> PreferenceItem:
    responses = tuple(Response(text=f"r{index}", rank=rank) for index, rank in enumerate(ranks))
    return PreferenceItem(
        item_id="i",
        group_id="g",
        prompt="p",
        responses=responses,
        label_weight=weight,
        soft_label=soft_label,
    )


def examples_of(*items: PreferenceItem) -> list[Example]:
    return [Example(item, 0, (3,) * len(item.responses)) for item in items]


def loss_of(
    config: TrainerConfig, items: Sequence[PreferenceItem], outputs: torch.Tensor
) -> tuple[float, dict[str, float]]:
    name = "verdicts" if config.paradigm == "generative" else "scores"
    weights = StepWeights.of(items, config.strategy)
    loss, sums = Objective(config)({name: outputs}, examples_of(*items), weights)
    return loss.item(), dict(zip(REPORTED, sums.tolist(), strict=True))


def config_of(paradigm: str = "scalar", **strategy: object) -> TrainerConfig:
    return TrainerConfig.model_validate({"paradigm": paradigm, "strategy": strategy})


def nll(*scores: float) -> float:
    """Of the first being named the best of all."""
    return -scores[0] + math.log(sum(map(math.exp, scores)))


def test_the_whole_order_is_plackett_and_luces_likelihood_per_choice() -> None:
    loss, told = loss_of(
        config_of(loss="plackett_luce"), [item_of(3, 1, 2)], torch.tensor([0.1, 0.7, -0.4])
    )

    assert loss == pytest.approx((nll(0.7, 0.1, -0.4) + nll(-0.4, 0.1)) / 2)
    assert told["right"] == pytest.approx(2 / 3)  # accuracy is always of pairs


def test_a_classification_names_the_best() -> None:
    loss, _ = loss_of(
        config_of(loss="cross_entropy"), [item_of(3, 1, 2)], torch.tensor([0.1, 0.7, -0.4])
    )

    assert loss == pytest.approx(nll(0.7, 0.1, -0.4))


@pytest.mark.parametrize("loss", ["bradley_terry", "plackett_luce", "cross_entropy"])
@pytest.mark.parametrize("ties", ["drop", "square"])
def test_a_step_cut_in_two_is_the_step(loss: str, ties: str) -> None:
    items = [
        item_of(3, 1, 2, weight=2.0),
        item_of(1, 2),
        item_of(1, 1),
        item_of(2, 2, 1, 3, soft_label=None, weight=0.5),
    ]
    config = config_of(loss=loss, ties=ties, label_smoothing=0.1, zero_coefficient=0.01)
    scores = torch.randn(11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole, _ = loss_of(config, items, scores)
    weights = StepWeights.of(items, config.strategy)

    parts = [
        Objective(config)({"scores": part}, examples_of(*cut), weights)[0].item()
        for part, cut in ((scores[:5], items[:2]), (scores[5:], items[2:]))
    ]

    assert sum(parts) == pytest.approx(whole)


def test_dropped_ties_have_no_part_and_trained_ones_their_share() -> None:
    items, scores = [item_of(1, 1), item_of(1, 2)], torch.tensor([3.0, 1.0, 0.5, 0.0])

    dropped, _ = loss_of(config_of(), items, scores)
    square, told = loss_of(config_of(ties="square"), items, scores)

    assert dropped == pytest.approx(nll(0.5, 0.0))
    assert square == pytest.approx((4.0 + nll(0.5, 0.0)) / 2)
    assert told["right"] / told["weight"] == 1.0


def test_only_ties_make_a_loss_of_nothing_and_no_division_by_zero() -> None:
    scores = torch.tensor([3.0, 1.0], requires_grad=True)

    loss, told = loss_of(config_of(), [item_of(1, 1)], scores)

    assert loss == 0
    assert told["weight"] == 0


def test_a_soft_label_of_one_half_pulls_the_scores_together() -> None:
    config = config_of(use_soft_labels=True)
    scores = torch.tensor([2.0, 0.0], requires_grad=True)
    examples = examples_of(item_of(1, 2, soft_label=0.5))

    loss, _ = Objective(config)({"scores": scores}, examples, StepWeights(1.0, 1.0))
    (gradient,) = torch.autograd.grad(loss, scores)

    assert gradient[0] > 0 > gradient[1]


def test_a_judge_learns_an_even_verdict_from_a_tie() -> None:
    items = [item_of(1, 1)]
    likelihood = torch.log(torch.tensor([[0.7, 0.2], [0.7, 0.2]]))

    dropped, _ = loss_of(config_of("generative"), items, likelihood)
    trained, told = loss_of(config_of("generative", ties="square"), items, likelihood)

    assert dropped == 0
    assert trained == pytest.approx(-0.5 * math.log(0.7) - 0.5 * math.log(0.2))
    assert told["weight"] == 0


def test_an_item_of_weight_two_counts_as_two_items() -> None:
    item, other = item_of(1, 2), item_of(2, 1)
    scores = torch.tensor([1.0, 0.0, 0.5, 0.0])

    heavy, _ = loss_of(config_of(), [replace(item, label_weight=2.0), other], scores)
    twice, _ = loss_of(config_of(), [item, item, other], torch.cat([scores[:2], scores]))

    assert heavy == pytest.approx(twice)


def test_a_critic_s_loss_is_that_of_its_scores_and_of_its_critiques_by_their_weights() -> None:
    critic = {"score_weight": 2.0, "critique_weight": 0.5}
    config = TrainerConfig.model_validate({"paradigm": "critic", "critic": critic})
    told, silent = item_of(1, 2, weight=3.0), item_of(2, 1)
    first, second = told.responses
    told = replace(told, responses=(replace(first, critique="good"), second))
    outputs = {
        "scores": torch.tensor([0.6, -0.2, 0.1, 0.4]),
        "critique_losses": torch.tensor([1.5, 9.0, 9.0, 9.0]),  # one response alone has a critique
    }

    weights = StepWeights.of([told, silent], config.strategy)
    loss, _ = Objective(config)(outputs, examples_of(told, silent), weights)

    ranked = (3 * nll(0.6, -0.2) + nll(0.4, 0.1)) / 4
    assert loss.item() == pytest.approx(2 * ranked + 0.5 * 1.5)


def test_lengths_are_divided_out_before_the_zero_coefficient_sees_a_score() -> None:
    config = config_of(length_normalization=True, zero_coefficient=0.01)
    example = Example(item_of(1, 2), 0, (0, 9))
    weights = StepWeights.of([example.item], config.strategy)

    loss, _ = Objective(config)({"scores": torch.tensor([2.0, -1.0])}, [example], weights)

    better, worse = 2 / math.log(2), -1 / math.log(10)
    assert loss.item() == pytest.approx(nll(better, worse) + 0.01 * (better + worse) ** 2)
