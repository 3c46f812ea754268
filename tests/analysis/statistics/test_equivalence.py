"""Equivalence and power: what they promise, measured where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.statistics.components import Floats, general_p_value, variance_parts
from analysis.statistics.equivalence import equivalence, equivalence_bound
from analysis.statistics.paired import Comparison, Scope, compare_differences, compare_many
from analysis.statistics.planning import minimum_detectable_effect, power_of

SWEEPS = 2000
GROUPS = 200
ALLOWED = 0.05 + 3 * (0.05 * 0.95 / SWEEPS) ** 0.5  # three Monte-Carlo standard errors


def _sweeps(*, seeds: int, seed_noise: float, shift: float) -> Floats:
    """`(SWEEPS, seeds, GROUPS)` differences per group, of true mean `shift`."""
    rng = np.random.default_rng([seeds, int(1000 * seed_noise)])
    noise = 0.3 * rng.normal(size=(SWEEPS, seeds, GROUPS))
    items = 0.2 * rng.normal(size=(SWEEPS, 1, GROUPS))
    return shift + seed_noise * rng.normal(size=(SWEEPS, seeds, 1)) + items + noise


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("seed_noise", [0.01, 0.05])
def test_a_difference_as_large_as_the_bound_is_ruled_out_in_one_sweep_of_twenty_at_most(
    seeds: int, seed_noise: float
) -> None:
    truth = 0.03

    comparisons = compare_many(
        _sweeps(seeds=seeds, seed_noise=seed_noise, shift=truth), np.arange(GROUPS)
    )

    bounds = [equivalence_bound(comparison) for comparison in comparisons]
    assert np.mean([bound is not None and bound < truth for bound in bounds]) <= ALLOWED


@pytest.mark.parametrize("seeds", [2, 3, 8])
@pytest.mark.parametrize("seed_noise", [0.01, 0.05])
def test_an_effect_called_detectable_is_found_in_four_sweeps_of_five(
    seeds: int, seed_noise: float
) -> None:
    truly = _sweeps(seeds=seeds, seed_noise=seed_noise, shift=0.0)
    known = _with_true_parts(seeds=seeds, seed_noise=seed_noise)
    effect = minimum_detectable_effect(known)
    assert effect is not None

    found = general_p_value(variance_parts(truly + effect, np.ones(GROUPS))) <= 0.05

    # The prediction leaves out that the group part is itself estimated as a difference.
    assert found.mean() == pytest.approx(0.8, abs=0.05)
    assert power_of(known, effect) == pytest.approx(0.8, abs=1e-4)


def _with_true_parts(*, seeds: int, seed_noise: float) -> Comparison:
    """A comparison whose estimated variances are the true ones of `_sweeps`."""
    comparison = compare_many(
        _sweeps(seeds=seeds, seed_noise=seed_noise, shift=0.0)[:1], np.arange(GROUPS)
    )[0]
    parts = replace(
        comparison.parts,
        seed=np.asarray((seed_noise**2 + 0.3**2 / GROUPS) / seeds),
        group=np.asarray(0.2**2 / GROUPS),
    )
    return replace(comparison, parts=parts)


def test_equal_arms_are_equivalent_within_what_their_items_can_show() -> None:
    rng = np.random.default_rng(0)
    comparison = compare_differences(0.05 * rng.normal(size=(4, 500)), np.arange(500))
    bound = equivalence_bound(comparison)
    assert bound is not None

    alike = equivalence(comparison, margin=0.02)
    strict = equivalence(comparison, margin=bound / 2)

    assert alike is not None
    assert strict is not None
    assert (alike.equivalent, strict.equivalent) == (True, False)
    assert alike.scope is Scope.GENERAL
    assert alike.bound == bound < 0.02


def test_equivalence_needs_a_margin_and_more_than_one_group() -> None:
    comparison = compare_differences(np.zeros((2, 6)), np.zeros(6))

    assert equivalence(comparison, margin=0.01) is None
    with pytest.raises(ValueError, match="above 0"):
        equivalence(comparison, margin=0.0)
