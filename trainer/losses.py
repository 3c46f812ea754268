"""Losses over scores, critiques and verdicts; each returns one value per pair or response.

They stay unreduced so that the loop can weigh items and divide by the whole batch, which makes a
step the same however it is cut into ranks and micro batches. Letters: P pairs, N responses,
T labelled tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from trainer.config import StrategyConfig


def length_normalized(scores: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Scores divided by log(tokens + 1) (BaseReward, arXiv 2509.16127, Algorithm 1).

    Args:
        scores: [N].
        tokens: [N] response lengths; an empty response counts as one token, since log(1) is 0.
    """
    return scores / torch.log(tokens.clamp(min=1).to(scores.dtype) + 1.0)


def pair_losses(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    strategy: StrategyConfig,
    *,
    margins: torch.Tensor | None = None,
) -> torch.Tensor:
    """Bradley-Terry loss of each pair, in nats [P].

    Args:
        chosen: [P] scores of the preferred responses.
        rejected: [P] scores of the others.
        strategy: `label_smoothing`, `use_margin` and `zero_coefficient` are read.
        margins: [P] gaps asked for; used only when `use_margin` is set.

    Source:
        Margin as in Llama 2 (arXiv 2307.09288), equation 2; zero coefficient as in BaseReward,
        Algorithm 1; smoothing as in conservative DPO: with its probability the label is taken
        to be the other way round.
    """
    margin = margins if margins is not None and strategy.use_margin else chosen.new_zeros(())
    difference = chosen - rejected
    losses = -functional.logsigmoid(difference - margin)
    smoothing = strategy.label_smoothing
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * functional.logsigmoid(-difference - margin)
    if strategy.zero_coefficient:
        losses = losses + strategy.zero_coefficient * (chosen + rejected).square()
    return losses


def sequence_losses(
    logits: torch.Tensor, labels: torch.Tensor, owners: torch.Tensor, count: int
) -> torch.Tensor:
    """Mean negative log-likelihood of each sequence's labelled tokens [count], in nats.

    Args:
        logits: [T, V] at the positions that predict a label.
        labels: [T] token ids.
        owners: [T] which of the `count` sequences each label belongs to; one with none costs 0.
        count: Sequences.
    """
    losses = functional.cross_entropy(logits.float(), labels, reduction="none")
    totals = losses.new_zeros(count).index_add(0, owners, losses)
    tokens = torch.bincount(owners, minlength=count).clamp(min=1)
    return totals / tokens


def verdict_losses(
    likelihood: torch.Tensor, right: torch.Tensor, *, label_smoothing: float
) -> torch.Tensor:
    """Negative log-likelihood of each presentation's right verdict [N], in nats.

    Args:
        likelihood: [N, 2] log-probabilities of the two verdicts, over the whole vocabulary.
        right: [N] which of them is right, 0 or 1.
        label_smoothing: Probability that it is the other one.
    """
    index = right[:, None]
    named, other = likelihood.gather(1, index)[:, 0], likelihood.gather(1, 1 - index)[:, 0]
    return -(1 - label_smoothing) * named - label_smoothing * other
