"""What one item adds to an average, and averages over items and groups of categories.

Conventions differ in ties and in verdicts that could not be read; each is a function here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from trainer.evaluation.metrics import ScoredItem

Outcome = Callable[[ScoredItem], float | None]
"""What one item adds to an average; nothing leaves it out."""


def strict(item: ScoredItem) -> float:
    """Share of an item's pairs whose better response scores strictly higher."""
    return float(np.mean([item.scores[i] > item.scores[j] for i, j in item.pairs()]))


def half(item: ScoredItem) -> float:
    """As `strict`, a tie counting half."""
    return float(np.mean([_half(item.scores[i] - item.scores[j]) for i, j in item.pairs()]))


def decided(item: ScoredItem) -> float | None:
    """As `strict`, nothing when the two tie or a verdict could not be read."""
    i, j = item.pairs()[0]
    return None if not item.parsed or item.scores[i] == item.scores[j] else strict(item)


def coin(item: ScoredItem) -> float:
    """As `strict`, an unreadable verdict counting as the toss of a coin, at its mean."""
    return strict(item) if item.parsed else 0.5


def two_games(item: ScoredItem) -> float:
    """1 when a judge is right more often than wrong over the two orders (JudgeBench)."""
    i, j = item.pairs()[0]
    return float(sum(np.sign(scores[i] - scores[j]) for scores in item.presentations.values()) > 0)


def best_of(item: ScoredItem) -> float:
    """1 when a right response alone scores highest; a tie of k at the top with it gives 1/k."""
    top = item.scores == item.scores.max()
    return float(1 / top.sum() if (item.ranks[top] == 1).any() else 0)


def averages(
    items: Iterable[ScoredItem], outcome: Outcome, groups: Mapping[str, str] | None
) -> dict[str, float]:
    """Mean outcome by group.

    Args:
        items: Scored items.
        outcome: What is averaged.
        groups: The group of every category, an unknown one being in none; absent: its own.
    """
    found: dict[str, list[ScoredItem]] = defaultdict(list)
    for item in items:
        name = item.category if groups is None else groups.get(item.category)
        if name:
            found[name].append(item)
    means = {name: mean(members, outcome) for name, members in sorted(found.items())}
    return {name: value for name, value in means.items() if not np.isnan(value)}


def mean(items: Iterable[ScoredItem], outcome: Outcome) -> float:
    """Mean outcome of the items that have one; NaN when none has."""
    told = [outcome(item) for item in items if item.pairs()]
    values = [value for value in told if value is not None]
    return float(np.mean(values)) if values else float("nan")


def macro(groups: Mapping[str, float]) -> float:
    """Unweighted mean over groups; NaN without any."""
    return float(np.mean(list(groups.values()))) if groups else float("nan")


def _half(difference: float) -> float:
    return 0.5 if difference == 0 else float(difference > 0)
