"""Coverage of the intervals of single accuracies, measured where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.intervals import arm_accuracy, model_accuracy
from analysis.statistics.paired import Scope


@pytest.mark.parametrize("truth", [0.6, 0.95])
@pytest.mark.parametrize("per_group", [1, 4])
def test_a_models_interval_covers_its_accuracy(truth: float, per_group: int) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), per_group)
    covered = 0
    for _ in range(600):
        # Items of a group share their outcome with probability 1/2.
        own = rng.random(60 * per_group) < truth
        shared = np.repeat(rng.random(60) < truth, per_group)
        right = np.where(rng.random(60 * per_group) < 0.5, shared, own)
        accuracy = model_accuracy(right, groups)
        covered += accuracy.low <= truth <= accuracy.high

    assert covered / 600 >= 0.925


def test_all_right_is_not_certainty() -> None:
    alone = model_accuracy(np.ones(40), np.arange(40))
    in_tens = model_accuracy(np.ones(40), np.repeat(np.arange(4), 10))

    assert alone.value == alone.high == 1
    assert 0.85 < alone.low < 0.95
    assert in_tens.low < 0.5  # four groups of ten say little more than four items


def test_an_arm_of_several_seeds_gets_the_wider_interval() -> None:
    rng = np.random.default_rng(1)
    outcomes = rng.random((3, 200)) < np.array([[0.7], [0.8], [0.9]])

    arm = arm_accuracy(outcomes, np.arange(200))

    assert arm.scope is Scope.GENERAL
    assert arm.seeds == len(arm.per_seed) == 3
    assert arm.high - arm.low > 0.3  # three seeds twenty points apart
    assert arm_accuracy(outcomes[:1], np.arange(200)).scope is Scope.FIXED
