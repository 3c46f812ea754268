"""Budgets: verdicts, and when a limit will be reached."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engine.budgets.budget import (
    BudgetState,
    WallClock,
    device_seconds_limit,
    seconds_until_spent,
    verdict,
)
from sweep.spec.sweep_spec import BudgetSpec

KINDNESS = {"go": 2, "drain": 1, "stop": 0}


@pytest.mark.parametrize(
    ("budget", "spent", "allowance"),
    [
        (BudgetSpec(), BudgetState(device_seconds=1e9, wall_seconds=1e9, failures=99), "go"),
        (BudgetSpec(gpu_hours=1), BudgetState(device_seconds=3419), "go"),
        (BudgetSpec(gpu_hours=1), BudgetState(device_seconds=3420), "drain"),
        (BudgetSpec(gpu_hours=1, drain_at=1), BudgetState(device_seconds=3599), "go"),
        (BudgetSpec(gpu_hours=1), BudgetState(device_seconds=3600), "stop"),
        (BudgetSpec(hours=1), BudgetState(wall_seconds=3600), "stop"),
        (BudgetSpec(usd=2, usd_per_gpu_hour=4), BudgetState(device_seconds=1800), "stop"),
        (BudgetSpec(trials=3), BudgetState(trials_started=2), "go"),
        (BudgetSpec(trials=3), BudgetState(trials_started=3), "drain"),
        (BudgetSpec(failures=2), BudgetState(failures=1), "go"),
        (BudgetSpec(failures=2), BudgetState(failures=2), "stop"),
    ],
)
def test_each_limit_has_its_verdict(budget: BudgetSpec, spent: BudgetState, allowance: str) -> None:
    assert verdict(budget, spent).allowance == allowance


def test_a_stop_goes_before_a_drain_and_says_why() -> None:
    budget = BudgetSpec(trials=1, gpu_hours=2)

    found = verdict(budget, BudgetState(trials_started=1, device_seconds=7200))

    assert found.allowance == "stop"
    assert found.reason == "2 h of devices are spent, budget.gpu_hours is 2"


def test_the_tighter_of_hours_and_money_counts() -> None:
    assert device_seconds_limit(BudgetSpec(gpu_hours=3, usd=4, usd_per_gpu_hour=2)) == 2 * 3600
    assert device_seconds_limit(BudgetSpec(gpu_hours=1, usd=4, usd_per_gpu_hour=2)) == 3600


def test_money_without_a_price_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs budget"):
        verdict(BudgetSpec(usd=4), BudgetState())


def test_a_price_alone_only_counts_the_money() -> None:
    budget = BudgetSpec(usd_per_gpu_hour=2)

    assert BudgetState(device_seconds=7200).usd(budget) == 4
    assert BudgetState(device_seconds=7200).usd(BudgetSpec()) is None
    assert verdict(budget, BudgetState(device_seconds=1e9)).allowance == "go"


def test_the_nearest_limit_is_foreseen() -> None:
    budget = BudgetSpec(gpu_hours=1, hours=1)
    spent = BudgetState(device_seconds=1600, wall_seconds=3000, running_devices=4)

    assert seconds_until_spent(budget, spent) == 500
    assert seconds_until_spent(BudgetSpec(gpu_hours=1), BudgetState()) is None


@given(
    seconds=st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)),
    counts=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    more=st.tuples(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(0, 9), st.integers(0, 9)),
    limits=st.tuples(st.floats(0.1, 30), st.floats(0.1, 30), st.integers(1, 9), st.integers(1, 9)),
)
def test_spending_more_is_never_judged_kinder(
    seconds: tuple[float, float],
    counts: tuple[int, int],
    more: tuple[float, float, int, int],
    limits: tuple[float, float, int, int],
) -> None:
    budget = BudgetSpec(gpu_hours=limits[0], hours=limits[1], trials=limits[2], failures=limits[3])
    before = BudgetState(
        device_seconds=seconds[0],
        wall_seconds=seconds[1],
        trials_started=counts[0],
        failures=counts[1],
    )
    after = BudgetState(
        device_seconds=seconds[0] + more[0],
        wall_seconds=seconds[1] + more[1],
        trials_started=counts[0] + more[2],
        failures=counts[1] + more[3],
    )

    assert KINDNESS[verdict(budget, after).allowance] <= KINDNESS[verdict(budget, before).allowance]


def test_the_wall_clock_counts_a_dead_driver_only_as_far_as_it_was_heard() -> None:
    clock = WallClock()
    clock.acquire(100.0)
    clock.last_sign = 130.0

    clock.acquire(500.0)
    clock.release(510.0)

    assert clock.seconds(10_000.0) == 40.0
