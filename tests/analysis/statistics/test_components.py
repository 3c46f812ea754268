"""Error rates of the two intervals, measured on simulated sweeps where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.components import (
    fixed_half_width,
    fixed_p_value,
    general_half_width,
    general_p_value,
    group_totals,
    variance_parts,
)
from tests.analysis.statistics.simulated import World, simulated_parts

SWEEPS = 3000
ALLOWED = 0.05 + 3 * (0.05 * 0.95 / SWEEPS) ** 0.5  # three Monte-Carlo standard errors


@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
@pytest.mark.parametrize("arm_by_group", [0.0, 0.3])
@pytest.mark.parametrize("seed_noise", [0.0, 0.1, 0.6], ids=["none", "alike", "dominant"])
def test_two_equal_recipes_are_told_apart_in_general_in_one_sweep_of_twenty_at_most(
    seeds: int, seed_noise: float, arm_by_group: float
) -> None:
    world = World(seeds=seeds, seed_noise=seed_noise, arm_by_group=arm_by_group)

    parts = simulated_parts(world, sweeps=SWEEPS, seed=seeds)

    claimed = general_half_width(parts, 0.05) < np.abs(parts.mean)
    assert claimed.mean() <= ALLOWED


@pytest.mark.parametrize("seeds", [2, 3])
def test_seeds_that_agree_to_the_item_by_chance_prove_nothing_at_strict_levels(seeds: int) -> None:
    level, sweeps = 0.0025, 12_000  # of a family of twenty
    world = World(seeds=seeds, seed_noise=0.6, groups=100, items_per_group=1)

    parts = simulated_parts(world, sweeps=sweeps, seed=seeds)

    allowed = level + 3 * (level * (1 - level) / sweeps) ** 0.5
    assert (general_p_value(parts) <= level).mean() <= allowed


@pytest.mark.parametrize(("groups", "items"), [(12, 1), (8, 25), (300, 1)])
def test_error_rates_hold_for_few_and_for_many_groups(groups: int, items: int) -> None:
    world = World(seeds=3, groups=groups, items_per_group=items, seed_noise=0.1, arm_by_group=0.3)

    parts = simulated_parts(world, sweeps=SWEEPS, seed=1)

    assert (general_p_value(parts) <= 0.05).mean() <= ALLOWED


@pytest.mark.parametrize("seeds", [1, 2, 5])
@pytest.mark.parametrize("groups", [10, 60])
def test_equal_models_are_told_apart_on_new_items_in_one_sweep_of_twenty_at_most(
    seeds: int, groups: int
) -> None:
    world = World(seeds=seeds, groups=groups, arm_by_group=0.3)

    parts = simulated_parts(world, sweeps=SWEEPS, seed=2)

    assert (fixed_p_value(parts) <= 0.05).mean() <= ALLOWED


def test_models_of_equal_recipes_with_noisy_seeds_differ_though_the_recipes_do_not() -> None:
    # Why the two scopes may never be mixed, and why a bootstrap over items alone is no answer.
    parts = simulated_parts(World(seeds=3, seed_noise=0.6), sweeps=SWEEPS, seed=3)

    assert (fixed_p_value(parts) <= 0.05).mean() > 0.5
    assert (general_p_value(parts) <= 0.05).mean() <= ALLOWED


@pytest.mark.parametrize(("seeds", "least"), [(3, 0.7), (5, 0.95)])
def test_a_clear_effect_is_found_in_general(seeds: int, least: float) -> None:
    world = World(seeds=seeds, groups=200, seed_noise=0.03, shift=0.25)

    parts = simulated_parts(world, sweeps=500, seed=4)

    found = (general_p_value(parts) <= 0.05) & (parts.mean > 0)
    assert found.mean() >= least


def test_intervals_cover_the_true_difference() -> None:
    world = World(seeds=5, seed_noise=0.1, shift=0.2, arm_by_group=0.3)
    parts = simulated_parts(world, sweeps=SWEEPS, seed=5)
    truth = parts.mean.mean()

    covered = np.abs(parts.mean - truth) <= general_half_width(parts, 0.05)

    assert covered.mean() >= 0.95 - (ALLOWED - 0.05)


def test_p_value_and_interval_agree_at_every_level() -> None:
    parts = simulated_parts(World(seeds=3, seed_noise=0.1, shift=0.15), sweeps=400, seed=6)

    for alpha in (0.2, 0.05, 0.01):
        for p_value, half in (
            (general_p_value(parts), general_half_width(parts, alpha)),
            (fixed_p_value(parts), fixed_half_width(parts, alpha)),
        ):
            clear = np.abs(p_value - alpha) > 1e-9
            assert ((p_value < alpha) == (half < np.abs(parts.mean)))[clear].all()


def test_equal_groups_have_one_degree_of_freedom_less_than_groups() -> None:
    rng = np.random.default_rng(0)
    totals = rng.normal(size=(4, 9))

    parts = variance_parts(totals, np.full(9, 5.0))

    assert parts.group_degrees == pytest.approx(8)
    means = totals.mean(axis=0) / 5
    assert float(parts.fixed) == pytest.approx(means.var(ddof=1) / 9)


def test_one_group_that_holds_most_items_leaves_few_degrees_of_freedom() -> None:
    parts = variance_parts(np.ones((2, 21)), np.array([400.0] + [5.0] * 20))

    assert parts.group_degrees < 2


@pytest.mark.parametrize("heavy", [1, 5])
def test_error_rates_hold_when_a_few_groups_hold_most_items(heavy: int) -> None:
    rng = np.random.default_rng(heavy)
    sizes = np.array([40.0] * heavy + [2.0] * 40)
    group_means = rng.normal(size=(SWEEPS, 1, len(sizes)))
    trials = group_means + 0.5 * rng.normal(size=(SWEEPS, 3, len(sizes)))

    parts = variance_parts(trials * sizes, sizes)

    assert (fixed_half_width(parts, 0.05) < np.abs(parts.mean)).mean() <= ALLOWED
    assert (general_half_width(parts, 0.05) < np.abs(parts.mean)).mean() <= ALLOWED


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=40),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_group_totals_are_sums_whatever_the_order_of_items(
    raw_groups: list[int], seeds: int, shuffler: object
) -> None:
    codes = np.unique(raw_groups, return_inverse=True)[1].astype(np.int64)
    values = np.arange(seeds * len(codes), dtype=np.float64).reshape(seeds, -1)

    totals, sizes = group_totals(values, codes)

    assert sizes.sum() == len(codes)
    for group in range(len(sizes)):
        assert totals[:, group].tolist() == values[:, codes == group].sum(axis=1).tolist()
