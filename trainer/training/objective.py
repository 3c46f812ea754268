"""From what the model says to one loss: pairs, weights and what is worth reporting.

Every item counts by its label weight, whatever number of pairs or presentations it splits into.
Sums are divided by the weight of the *whole* step, over all ranks and micro batches, so a step's
gradient does not depend on how it was cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.prompting.examples import Example
from trainer.prompting.prompts import presentations
from trainer.strategy_config import StrategyConfig
from trainer.training.choices import compare, teaches
from trainer.training.losses import (
    length_normalized,
    listwise_losses,
    tie_losses,
    verdict_losses,
    zero_penalties,
)
from trainer.training.pair_loss import pair_loss_of

REPORTED = ("loss", "critique_loss", "right", "margin", "weight")
"""What `Objective.__call__` sums up, in this order."""


@dataclass(frozen=True, slots=True)
class StepWeights:
    """Label weight of a whole step: of items with a preference, and of items with a critique."""

    preferences: float
    critiques: float

    @classmethod
    def of(cls, items: Sequence[PreferenceItem], strategy: StrategyConfig) -> StepWeights:
        """Summed over the step's items on every rank; 1 where there is nothing to divide."""
        preferences = sum(item.label_weight for item in items if teaches(item, strategy))
        critiques = sum(
            item.label_weight for item in items if any(r.critique for r in item.responses)
        )
        return cls(preferences or 1.0, critiques or 1.0)


class Objective:
    """The loss a config asks for."""

    def __init__(self, config: TrainerConfig) -> None:
        self._config = config
        self._pair_losses = pair_loss_of(config)

    def __call__(
        self, outputs: dict[str, torch.Tensor], examples: Sequence[Example], weights: StepWeights
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """This batch's part of the step's loss, and the sums named in `REPORTED`."""
        if self._config.paradigm == "generative":
            return self._judged(outputs, examples, weights)
        return self._scored(outputs, examples, weights)

    def _scored(
        self, outputs: dict[str, torch.Tensor], examples: Sequence[Example], weights: StepWeights
    ) -> tuple[torch.Tensor, torch.Tensor]:
        scores = normalized_scores(outputs["scores"], examples, self._config)
        items = [example.item for example in examples]
        loss = self._ranking_loss(scores, items) / weights.preferences
        critique = scores.new_zeros(())
        if self._config.paradigm == "critic":
            told = _numbers(_critique_shares(items), scores) / weights.critiques
            critique = (outputs["critique_losses"] * told).sum()
            critic = self._config.critic
            loss = critic.score_weight * loss + critic.critique_weight * critique
        with torch.no_grad():
            pairs = compare(items, "bradley_terry")
            share = _numbers(pairs.shares, scores) / weights.preferences
            better, worse = _taken(scores, pairs.choices)
            difference = better - worse
            right = ((difference > 0) * share).sum()
            sums = torch.stack([loss, critique, right, (difference * share).sum(), share.sum()])
        return loss, sums.detach()

    def _ranking_loss(self, scores: torch.Tensor, items: Sequence[PreferenceItem]) -> torch.Tensor:
        """Of all choices and ties, each by its share."""
        strategy = self._config.strategy
        compared = compare(items, strategy.loss, ties=strategy.ties != "drop")
        pairs, lists = compared.of_size(pairs=True), compared.of_size(pairs=False)
        better, worse = _taken(scores, pairs.choices)
        losses = self._pair_losses(
            better,
            worse,
            strategy,
            margins=_numbers(pairs.margins, scores),
            soft_labels=_numbers(pairs.soft_labels, scores),
        )
        loss = (losses * _numbers(pairs.shares, scores)).sum()
        if lists.choices:
            listed = listwise_losses(
                _listed(scores, lists.choices), strategy, margins=_numbers(lists.margins, scores)
            )
            loss = loss + (listed * _numbers(lists.shares, scores)).sum()
        if compared.ties:
            tied = tie_losses(*_taken(scores, compared.ties), strategy)
            loss = loss + (tied * _numbers(compared.tie_shares, scores)).sum()
        if strategy.zero_coefficient:
            every = compare(items, "bradley_terry")
            penalties = zero_penalties(*_taken(scores, every.choices), strategy)
            loss = loss + (penalties * _numbers(every.shares, scores)).sum()
        return loss

    def _judged(
        self, outputs: dict[str, torch.Tensor], examples: Sequence[Example], weights: StepWeights
    ) -> tuple[torch.Tensor, torch.Tensor]:
        likelihood = outputs["verdicts"]
        strategy = self._config.strategy
        verdicts = _verdicts([example.item for example in examples], strategy)
        right = torch.tensor(verdicts.right, dtype=torch.long, device=likelihood.device)
        share = _numbers(verdicts.shares, likelihood) / weights.preferences
        losses = verdict_losses(
            likelihood, right, strategy, soft_labels=_numbers(verdicts.soft_labels, likelihood)
        )
        loss = (losses * share).sum()
        reasons = loss.new_zeros(())
        judge = self._config.judge
        if judge.reasoning:
            told = _numbers(_reason_shares(examples), likelihood) / weights.critiques
            reasons = (outputs["critique_losses"] * told).sum()
            loss = loss + judge.reasoning_weight * reasons
        with torch.no_grad():
            share = share * _numbers(verdicts.decided, likelihood)
            named = likelihood.gather(1, right[:, None])[:, 0]
            gap = 2 * named - likelihood.sum(1)
            correct = ((gap > 0) * share).sum()
            sums = torch.stack([loss, reasons, correct, (gap * share).sum(), share.sum()])
        return loss, sums.detach()


def normalized_scores(
    scores: torch.Tensor, examples: Sequence[Example], config: TrainerConfig
) -> torch.Tensor:
    """Scores as the strategy defines them; the same in training and evaluation."""
    if not config.strategy.length_normalization:
        return scores
    tokens = [length for example in examples for length in example.response_tokens]
    return length_normalized(scores, torch.tensor(tokens, device=scores.device))


def _numbers(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def _taken(
    scores: torch.Tensor, pairs: Sequence[tuple[int, ...]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of the first and of the second of each pair."""
    index = torch.tensor(pairs, dtype=torch.long, device=scores.device).reshape(-1, 2)
    return scores[index[:, 0]], scores[index[:, 1]]


def _listed(scores: torch.Tensor, choices: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """Scores of each choice [C, M], filled up with -inf."""
    longest = max(map(len, choices))
    # One score more, out of reach, for where a choice has fewer than the longest.
    known = torch.cat([scores, scores.new_full((1,), -torch.inf)])
    index = [[*choice, *[len(scores)] * (longest - len(choice))] for choice in choices]
    return known[torch.tensor(index, dtype=torch.long, device=scores.device)]


def _critique_shares(items: Sequence[PreferenceItem]) -> list[float]:
    shares: list[float] = []
    for item in items:
        told = [bool(response.critique) for response in item.responses]
        shares += [item.label_weight / sum(told) if each else 0.0 for each in told]
    return shares


def _reason_shares(examples: Sequence[Example]) -> list[float]:
    shares: list[float] = []
    for example in examples:
        item = example.item
        told = [bool(order.reasons(item)) for order in presentations(item)]
        shares += [item.label_weight / sum(told) if each else 0.0 for each in told]
    return shares


@dataclass(frozen=True, slots=True)
class _Verdicts:
    """What a judge should say in every presentation."""

    right: list[int]
    soft_labels: list[float]
    """Probability that this is right; a half for a tie."""
    decided: list[float]
    """1 where one of the two is better."""
    shares: list[float]


def _verdicts(items: Sequence[PreferenceItem], strategy: StrategyConfig) -> _Verdicts:
    even = strategy.tie_weight if strategy.ties != "drop" else 0.0
    found = _Verdicts([], [], [], [])
    for item in items:
        asked = [order.verdict(item) for order in presentations(item)]
        soft = item.soft_label if strategy.use_soft_labels else None
        decided = sum(verdict is not None for verdict in asked)
        share = item.label_weight / max(1, len(asked) if even else decided)
        for verdict in asked:
            tied = verdict is None
            found.right.append(verdict or 0)
            found.soft_labels.append(0.5 if tied else 1.0 if soft is None else soft)
            found.decided.append(0.0 if tied else 1.0)
            found.shares.append(share * (even if tied else 1.0))
    return found
