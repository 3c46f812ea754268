"""Small sweeps to run, and what to ask of them afterwards."""

from __future__ import annotations

from sweep.engine.decision_kinds import EndSweep
from sweep.records.ledger import Ledger
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import BudgetSpec
from tests.engine.simulation import (
    SimulatedDriver,
    SimulatedSweep,
    distinct,
    planned,
)


def sweep_of(
    ledger: Ledger,
    clock: SimulatedClock,
    *workers: float,
    capacity: int = 2,
    budget: BudgetSpec | None = None,
    fails: dict[int, str] | None = None,
) -> SimulatedSweep:
    """A sweep of 10-second trials with these gangs; `fails` says which always fail, and how."""
    trials = [planned(distinct("trial"), workers=gang) for gang in workers]
    return SimulatedSweep(
        ledger,
        clock,
        trials,
        capacity=capacity,
        budget=budget or BudgetSpec(),
        always_fails={trials[index].identity: kind for index, kind in (fails or {}).items()},
    )


def run_to_the_end(driver: SimulatedDriver, *, seconds: float = 2.0) -> EndSweep:
    """Let time pass until the driver's sweep has ended; how it did."""
    driver.look()
    for _ in range(500):
        if driver.ended is not None:
            return driver.ended
        driver.clock.now += seconds
        driver.step()
    raise AssertionError("the sweep does not end")


def order_of(driver: SimulatedDriver) -> list[int]:
    """Plan positions of the trials this driver started, in the order it did."""
    position = {trial.identity: index for index, trial in enumerate(driver.sweep.trials)}
    return [position[identity] for identity in driver.started]
