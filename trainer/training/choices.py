"""What a ranking asks of the scores: choices between responses, and pairs that tie. Torch-free.

A choice is a tuple of response indices of one item, the right one first. Every item counts by its
label weight, whatever number of choices and ties it splits into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from trainer.data.items import PreferenceItem
from trainer.strategy_config import RankingLoss, StrategyConfig


def ranked_pairs(item: PreferenceItem) -> list[tuple[int, int]]:
    """(better, worse) response indices of every pair that is no tie."""
    ranks = [response.rank for response in item.responses]
    pairs = combinations(range(len(ranks)), 2)
    return [(i, j) if ranks[i] < ranks[j] else (j, i) for i, j in pairs if ranks[i] != ranks[j]]


def tied_pairs(item: PreferenceItem) -> list[tuple[int, int]]:
    """Response indices of every pair of equal rank."""
    ranks = [response.rank for response in item.responses]
    return [(i, j) for i, j in combinations(range(len(ranks)), 2) if ranks[i] == ranks[j]]


def ranked_choices(item: PreferenceItem, loss: RankingLoss) -> list[tuple[int, ...]]:
    """The choices a loss sees in a ranking; responses of equal rank never meet."""
    if loss == "bradley_terry":
        return [*ranked_pairs(item)]
    ranks = [response.rank for response in item.responses]
    best = min(ranks)
    choices = []
    for index, rank in enumerate(ranks):
        worse = tuple(other for other, its in enumerate(ranks) if its > rank)
        if worse and (loss == "plackett_luce" or rank == best):
            choices.append((index, *worse))
    return choices


def teaches(item: PreferenceItem, strategy: StrategyConfig) -> bool:
    """Whether an item's ranking has any part in the loss."""
    ranks = {response.rank for response in item.responses}
    return len(ranks) > 1 or (strategy.ties != "drop" and len(item.responses) > 1)


@dataclass(slots=True)
class Comparisons:
    """The choices and ties of several items, as indices into all their responses in order."""

    choices: list[tuple[int, ...]] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    """What each choice counts; those of an item and its ties sum up to its label weight."""
    margins: list[float] = field(default_factory=list)
    soft_labels: list[float] = field(default_factory=list)
    """Probability that the first is rightly the first."""
    ties: list[tuple[int, ...]] = field(default_factory=list)
    tie_shares: list[float] = field(default_factory=list)

    def of_size(self, *, pairs: bool) -> Comparisons:
        """Only the choices between two, or only those between more."""
        kept = [index for index, each in enumerate(self.choices) if (len(each) == 2) == pairs]
        return Comparisons(
            choices=[self.choices[index] for index in kept],
            shares=[self.shares[index] for index in kept],
            margins=[self.margins[index] for index in kept],
            soft_labels=[self.soft_labels[index] for index in kept],
        )


def compare(
    items: Sequence[PreferenceItem], loss: RankingLoss, *, ties: bool = False
) -> Comparisons:
    """What a loss compares.

    Args:
        items: In the order of their responses in the batch.
        loss: Which choices it sees in a ranking.
        ties: Whether tied pairs take part.
    """
    compared = Comparisons()
    offset = 0
    for item in items:
        choices = ranked_choices(item, loss)
        tied = tied_pairs(item) if ties else []
        share = item.label_weight / max(1, len(choices) + len(tied))
        soft = 1.0 if item.soft_label is None else item.soft_label
        compared.choices += [tuple(offset + index for index in choice) for choice in choices]
        compared.shares += [share] * len(choices)
        compared.margins += [item.margin or 0.0] * len(choices)
        compared.soft_labels += [soft] * len(choices)
        compared.ties += [(offset + first, offset + second) for first, second in tied]
        compared.tie_shares += [share] * len(tied)
        offset += len(item.responses)
    return compared
