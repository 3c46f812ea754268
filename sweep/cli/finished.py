"""Whether a sweep is over and done with, to be told of without loading Ray and MLflow."""

from __future__ import annotations

from sweep.cli.workplace import Workplace
from sweep.engine.planning.plan import SweepPlan
from sweep.records.lifecycle import SweepState
from sweep.records.rows import SweepRow


def finished_row(workplace: Workplace, plan: SweepPlan) -> SweepRow | None:
    """The ledger's row of a sweep of which nothing is left to train, to score or to show.

    None of every other: also of one that failed or was stopped, which gets another chance, and of
    one that grows, which may ask for more than it did.
    """
    from sweep.engine.growing.rules import grows
    from sweep.execution.reuse import missing_evaluations
    from sweep.records.publishing import is_caught_up

    ledger, sweep_id = workplace.ledger, plan.sweep_id
    row = ledger.registered(sweep_id)
    if row is None or row.state is not SweepState.SUCCEEDED or row.live:
        return None
    if plan.to_execute or grows(plan.spec):
        return None
    if not is_caught_up(ledger, row.tracking_uri, sweep_id):
        return None
    missing = missing_evaluations(ledger, sweep_id)
    return None if missing.evaluations or missing.unread else row
