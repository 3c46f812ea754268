"""Averages: the paper's, on a common scale, weighted, pessimistic.

Each function fits one method to validation pairs and returns how to combine; all take the `size`
members that are best there, since a bad member is better left out than averaged in.
"""

from __future__ import annotations

import numpy as np

from analysis.ensembles.panel import Panel
from analysis.statistics.components import Floats
from trainer.members.combining import (
    AnyRule,
    Combiner,
    Majority,
    Probability,
    UncertaintyPenalty,
    WeightedSum,
    WorstCase,
)
from trainer.members.member_scores import Weights
from trainer.members.normalizing import Normalization, Unchanged

CHANCE = 0.5


def single(panel: Panel) -> Combiner:
    """The best member alone: what every ensemble is measured against."""
    return _on_z(panel, WeightedSum(weights=equal(panel, 1)))


def average(panel: Panel, *, size: int) -> Combiner:
    """Plain mean of raw scores, as BaseReward (arXiv 2509.16127, 3.6) takes it."""
    return Combiner(normalizations=unchanged(panel), rule=WeightedSum(weights=equal(panel, size)))


def accuracy_weighted(panel: Panel, *, size: int) -> Combiner:
    """Raw scores weighted by validation accuracy (BaseReward, Table 7)."""
    return Combiner(
        normalizations=unchanged(panel),
        rule=WeightedSum(weights=proportional(panel, panel.accuracies, size)),
    )


def margin_weighted(panel: Panel, *, size: int) -> Combiner:
    """Raw scores weighted by mean validation margin (BaseReward, Table 7)."""
    margins = panel.margins(panel.scores).mean(axis=1)
    return Combiner(
        normalizations=unchanged(panel),
        rule=WeightedSum(weights=proportional(panel, margins, size)),
    )


def z_average(panel: Panel, *, size: int) -> Combiner:
    """Mean of z-scores: no member outvotes the others by its unit."""
    return _on_z(panel, WeightedSum(weights=equal(panel, size)))


def rank_average(panel: Panel, *, size: int) -> Combiner:
    """Mean of ranks among validation responses: outliers weigh no more than the largest score."""
    return Combiner(normalizations=panel.ranks, rule=WeightedSum(weights=equal(panel, size)))


def probability_average(panel: Panel, *, size: int) -> Combiner:
    """Mean of probabilities of being the better response, each member calibrated on its own."""
    return Combiner(
        normalizations=unchanged(panel),
        rule=Probability(weights=equal(panel, size), temperatures=panel.temperatures),
    )


def majority(panel: Panel, *, size: int) -> Combiner:
    """One vote per member; a drawn vote follows the mean z-score."""
    return _on_z(panel, Majority(weights=equal(panel, size)))


def worst_case(panel: Panel, *, size: int) -> Combiner:
    """The lowest z-score of any member (WCO)."""
    return _on_z(panel, WorstCase(weights=equal(panel, size)))


def uncertainty_weighted(panel: Panel, *, size: int, coefficient: float) -> Combiner:
    """Mean z-score minus a multiple of its variance between members (UWO)."""
    return _on_z(panel, UncertaintyPenalty(weights=equal(panel, size), coefficient=coefficient))


def unchanged(panel: Panel) -> tuple[Normalization, ...]:
    """No normalisation, for every member."""
    return (Unchanged(),) * panel.size


def equal(panel: Panel, size: int) -> Weights:
    """The same weight for the `size` best members that are better than chance."""
    return proportional(panel, np.ones(panel.size), size)


def proportional(panel: Panel, values: Floats, size: int) -> Weights:
    """Weights that sum to one, for the `size` best members that are better than chance."""
    order = panel.best_first
    better = panel.accuracies[order] > CHANCE
    taken = order[better][:size] if better.any() else order[:1]
    weights = np.zeros(panel.size)
    weights[taken] = np.maximum(values[taken], 0.0)
    if not weights.any():
        weights[taken] = 1.0
    return tuple((weights / weights.sum()).tolist())


def _on_z(panel: Panel, rule: AnyRule) -> Combiner:
    return Combiner(normalizations=panel.z_scores, rule=rule)
