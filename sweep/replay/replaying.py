"""`replay_sweep`: a whole sweep on recorded curves, in one call."""

from __future__ import annotations

from sweep.records.ledger import Ledger
from sweep.replay.driving import SimulatedDriver
from sweep.replay.journal import Journal, SweepRecord
from sweep.replay.outcome import ReplayOutcome, replay_outcome
from sweep.replay.planning import ReplayPlan
from sweep.replay.working import EPOCH, SimulatedClock, trial_rows


def replay_sweep(
    plan: ReplayPlan, *, workers: int = 1, ledger: Ledger | None = None, clock: SimulatedClock
) -> ReplayOutcome:
    """Drive a planned sweep to its end under simulated time.

    Args:
        plan: What is to be tried.
        workers: Devices; one trial each.
        ledger: Where everything is written; only events are kept, in memory, when absent.
        clock: Tells the ledger's time as well.
    """
    record = journal_of(plan, clock) if ledger is None else register(plan, ledger)
    driver = SimulatedDriver(plan, record, clock, workers=workers)
    driver.run()
    return replay_outcome(plan, driver, seconds=clock.now - EPOCH)


def journal_of(plan: ReplayPlan, clock: SimulatedClock) -> Journal:
    """A journal that knows a plan's trials."""
    journal = Journal(clock=clock)
    journal.add_trials(plan.sweep_id, trials=trial_rows(plan.trials, plan.table))
    return journal


def register(plan: ReplayPlan, ledger: Ledger) -> SweepRecord:
    """Write a plan into a ledger."""
    ledger.register_sweep(
        plan.sweep_id,
        plan.spec.name,
        plan.spec.model_dump(mode="json"),
        arms=plan.arms,
        trials=trial_rows(plan.trials, plan.table),
        tracking_uri="none",
        storage="file:none",
    )
    return ledger
