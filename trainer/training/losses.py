"""Losses over scores, critiques and verdicts; each returns one value per pair, choice or response.

They stay unreduced so that the loop can weigh items and divide by the whole batch, which makes a
step the same however it is cut into ranks and micro batches. Letters: P pairs, N responses,
T labelled tokens, V vocabulary, C choices of up to M responses.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from trainer.strategy_config import StrategyConfig


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
    soft_labels: torch.Tensor | None = None,
) -> torch.Tensor:
    """Bradley-Terry loss of each ranked pair, in nats [P].

    Args:
        chosen: [P] scores of the preferred responses.
        rejected: [P] scores of the others.
        strategy: Its labels' noise, margins, soft labels and ties are read.
        margins: [P] gaps asked for; used only when `use_margin` is set.
        soft_labels: [P] probabilities that the pair is ranked rightly; used only when
            `use_soft_labels` is set.

    Source:
        Margin as in Llama 2 (arXiv 2307.09288), equation 2; the wrong label asks for it the other
        way round. With ties after Rao and Kupper (1967) the threshold is a margin of every pair.
    """
    margin = _margin(strategy, margins, chosen)
    difference = chosen - rejected
    right = functional.logsigmoid(difference - margin)
    wrong = functional.logsigmoid(-difference - margin)
    losses = label_losses(right, wrong[:, None], strategy)
    if soft_labels is None or not strategy.use_soft_labels:
        return losses
    return soft_labels * losses + (1 - soft_labels) * label_losses(wrong, right[:, None], strategy)


def listwise_losses(
    scores: torch.Tensor, strategy: StrategyConfig, *, margins: torch.Tensor | None = None
) -> torch.Tensor:
    """Loss of naming the first of several responses the best of them, in nats [C].

    Every response against those ranked below it, summed, is the Plackett-Luce likelihood of the
    order; the best against all others is a classification. Of two responses, Bradley-Terry's loss.

    Args:
        scores: [C, M] of the responses of each choice, the right one first; -inf where there are
            fewer than M.
        strategy: Its labels' noise and margins are read.
        margins: [C] gaps asked for between the first and any other.
    """
    margin = _margin(strategy, margins, scores[:, 0])
    own = torch.eye(scores.shape[1], device=scores.device)
    # Row j asks for response j: its own score is the one that has to be higher by the margin.
    asked = scores[:, None, :] - margin.reshape(-1, 1, 1) * own
    named = asked.log_softmax(-1).diagonal(dim1=1, dim2=2)
    return label_losses(named[:, 0], named[:, 1:], strategy)


def label_losses(
    named: torch.Tensor, others: torch.Tensor, strategy: StrategyConfig
) -> torch.Tensor:
    """Loss of labels that are wrong with probability `label_smoothing`, in nats [C].

    Args:
        named: [C] log-probability of what the label says.
        others: [C, K] of what else it could have said; -inf where there is less. A wrong label says
            each of these equally often.
        strategy: `label_smoothing` and `noise_correction` are read.

    Source:
        `conservative` hedges: the loss expected if the label were drawn anew (cDPO). `unbiased` has
        the noise-free loss as its mean (Natarajan et al. 2013; for preferences Chowdhury et al.,
        arXiv 2403.00409), and no lower bound. `forward` is the likelihood of the label as it was
        made (Patrini et al., arXiv 1609.03683), which a far outlier cannot pull at.
    """
    noise = strategy.label_smoothing
    if not noise:
        return -named
    real = others > -torch.inf
    each = noise / real.sum(1).clamp(min=1).to(named.dtype)
    if strategy.noise_correction == "forward":
        wrong = others.logsumexp(1) + each.log()
        return -torch.logaddexp(named + math.log1p(-noise), wrong)
    said_otherwise = each * others.masked_fill(~real, 0.0).sum(1)
    if strategy.noise_correction == "conservative":
        return -(1 - noise) * named - said_otherwise
    return (said_otherwise - (1 - each) * named) / (1 - noise - each)


def zero_penalties(
    chosen: torch.Tensor, rejected: torch.Tensor, strategy: StrategyConfig
) -> torch.Tensor:
    """What keeps a pair's scores around zero [P] (BaseReward, Algorithm 1)."""
    return strategy.zero_coefficient * (chosen + rejected).square()


def tie_losses(first: torch.Tensor, second: torch.Tensor, strategy: StrategyConfig) -> torch.Tensor:
    """Loss of each pair that was judged equally good [P].

    Source:
        `square` as in MM-RLHF (arXiv 2502.10391); `rao_kupper` is the negative log-likelihood of a
        tie (Rao and Kupper 1967, as in arXiv 2410.05328): unlike the square, it and the ranked
        pairs' loss are one model, in which a tie is likelier the closer the scores.
    """
    difference = first - second
    if strategy.ties == "square":
        return strategy.tie_weight * difference.square()
    threshold = strategy.tie_threshold
    above = functional.logsigmoid(difference - threshold)
    below = functional.logsigmoid(-difference - threshold)
    return -strategy.tie_weight * (above + below + math.log(math.expm1(2 * threshold)))


def _margin(
    strategy: StrategyConfig, margins: torch.Tensor | None, like: torch.Tensor
) -> torch.Tensor:
    margin = margins if margins is not None and strategy.use_margin else torch.zeros_like(like)
    return margin + strategy.tie_threshold if strategy.ties == "rao_kupper" else margin


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
    likelihood: torch.Tensor,
    right: torch.Tensor,
    strategy: StrategyConfig,
    *,
    soft_labels: torch.Tensor | None = None,
) -> torch.Tensor:
    """Negative log-likelihood of each presentation's right verdict [N], in nats.

    Args:
        likelihood: [N, 2] log-probabilities of the two verdicts, over the whole vocabulary.
        right: [N] which of them is right, 0 or 1.
        strategy: Its labels' noise is read.
        soft_labels: [N] probabilities that it is.
    """
    index = right[:, None]
    named, other = likelihood.gather(1, index), likelihood.gather(1, 1 - index)
    losses = label_losses(named[:, 0], other, strategy)
    if soft_labels is None:
        return losses
    return soft_labels * losses + (1 - soft_labels) * label_losses(other[:, 0], named, strategy)
