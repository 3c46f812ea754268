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
from trainer.examples import Example
from trainer.losses import length_normalized, pair_losses, verdict_losses
from trainer.prompts import presentations, ranked_pairs

REPORTED = ("loss", "critique_loss", "right", "margin", "weight")
"""What `Objective.__call__` sums up, in this order."""


@dataclass(frozen=True, slots=True)
class StepWeights:
    """Label weight of a whole step: of items with a preference, and of items with a critique."""

    preferences: float
    critiques: float

    @classmethod
    def of(cls, items: Sequence[PreferenceItem]) -> StepWeights:
        """Summed over the step's items on every rank; 1 where there is nothing to divide."""
        preferences = sum(item.label_weight for item in items if ranked_pairs(item))
        critiques = sum(
            item.label_weight for item in items if any(r.critique for r in item.responses)
        )
        return cls(preferences or 1.0, critiques or 1.0)


class Objective:
    """The loss a config asks for."""

    def __init__(self, config: TrainerConfig) -> None:
        self._config = config

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
        strategy = self._config.strategy
        scores = normalized_scores(outputs["scores"], examples, self._config)
        device = scores.device
        chosen, rejected, shares, margins = _pairs(examples)
        better = scores[torch.tensor(chosen, dtype=torch.long, device=device)]
        worse = scores[torch.tensor(rejected, dtype=torch.long, device=device)]
        share = torch.tensor(shares, device=device) / weights.preferences
        losses = pair_losses(better, worse, strategy, margins=torch.tensor(margins, device=device))
        loss = (losses * share).sum()
        critique = scores.new_zeros(())
        if self._config.paradigm == "critic":
            told = torch.tensor(_critique_shares(examples), device=device) / weights.critiques
            critique = (outputs["critique_losses"] * told).sum()
            critic = self._config.critic
            loss = critic.score_weight * loss + critic.critique_weight * critique
        with torch.no_grad():
            difference = better - worse
            right = ((difference > 0) * share).sum()
            sums = torch.stack([loss, critique, right, (difference * share).sum(), share.sum()])
        return loss, sums.detach()

    def _judged(
        self, outputs: dict[str, torch.Tensor], examples: Sequence[Example], weights: StepWeights
    ) -> tuple[torch.Tensor, torch.Tensor]:
        likelihood = outputs["verdicts"]
        device = likelihood.device
        verdicts, shares = _verdicts(examples)
        right = torch.tensor(verdicts, dtype=torch.long, device=device)
        share = torch.tensor(shares, device=device) / weights.preferences
        losses = verdict_losses(
            likelihood, right, label_smoothing=self._config.strategy.label_smoothing
        )
        loss = (losses * share).sum()
        with torch.no_grad():
            named = likelihood.gather(1, right[:, None])[:, 0]
            gap = 2 * named - likelihood.sum(1)
            sums = torch.stack(
                [
                    loss,
                    loss.new_zeros(()),
                    ((gap > 0) * share).sum(),
                    (gap * share).sum(),
                    share.sum(),
                ]
            )
        return loss, sums.detach()


def normalized_scores(
    scores: torch.Tensor, examples: Sequence[Example], config: TrainerConfig
) -> torch.Tensor:
    """Scores as the strategy defines them; the same in training and evaluation."""
    if not config.strategy.length_normalization:
        return scores
    tokens = [length for example in examples for length in example.response_tokens]
    return length_normalized(scores, torch.tensor(tokens, device=scores.device))


def _pairs(
    examples: Sequence[Example],
) -> tuple[list[int], list[int], list[float], list[float]]:
    chosen, rejected, shares, margins = [], [], [], []
    offset = 0
    for example in examples:
        pairs = ranked_pairs(example.item)
        for better, worse in pairs:
            chosen.append(offset + better)
            rejected.append(offset + worse)
            shares.append(example.item.label_weight / len(pairs))
            margins.append(example.item.margin or 0.0)
        offset += len(example.item.responses)
    return chosen, rejected, shares, margins


def _critique_shares(examples: Sequence[Example]) -> list[float]:
    shares: list[float] = []
    for example in examples:
        told = [bool(response.critique) for response in example.item.responses]
        shares += [example.item.label_weight / sum(told) if each else 0.0 for each in told]
    return shares


def _verdicts(examples: Sequence[Example]) -> tuple[list[int], list[float]]:
    verdicts: list[int] = []
    shares: list[float] = []
    for example in examples:
        asked = [order.verdict(example.item) for order in presentations(example.item)]
        decided = sum(verdict is not None for verdict in asked)
        for verdict in asked:
            verdicts.append(verdict or 0)
            shares.append(0.0 if verdict is None else example.item.label_weight / decided)
    return verdicts, shares
