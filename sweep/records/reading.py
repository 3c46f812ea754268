"""What the ledger knows of one sweep, as values: trials, attempts, reports, decisions.

Each question is a fixed number of queries, whatever the number of trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sweep.records import holding
from sweep.records.attempting import checkpoint_of
from sweep.records.lifecycle import TrialState
from sweep.records.rows import (
    ArmRow,
    AttemptView,
    DecisionRow,
    EvaluationRow,
    PublicationRow,
    ReportView,
    RunningTrial,
    TrialView,
)
from sweep.records.schema import (
    arms,
    attempts,
    decisions,
    evaluations,
    holders,
    memberships,
    publications,
    reports,
    trials,
)

_RUNNING = sa.literal(TrialState.RUNNING.value, literal_execute=True)
"""Written out in a statement: SQLite uses the index of running attempts for no parameter."""
_KEYS_PER_QUERY = 5000


def list_trials(connection: Connection, sweep_id: str, now: float) -> list[TrialView]:
    """A sweep's trials in the order of the plan."""
    mine = sa.func.sum(sa.case((attempts.c.sweep_id == sweep_id, 1), else_=0))
    cost = sa.func.coalesce(attempts.c.device_seconds, attempts.c.seconds * attempts.c.workers)
    paid = sa.func.sum(sa.case((attempts.c.sweep_id == sweep_id, cost), else_=0.0))
    members = sa.select(memberships.c.identity).where(memberships.c.sweep_id == sweep_id)
    costs = {
        row.identity: row
        for row in connection.execute(
            sa.select(attempts.c.identity, mine.label("mine"), sa.func.sum(cost).label("total"))
            .add_columns(paid.label("paid"))
            .where(attempts.c.identity.in_(members))
            .group_by(attempts.c.identity)
        )
    }
    live = holding.live_drivers(connection, now)
    rows = connection.execute(
        sa.select(memberships, trials, attempts.c.driver.label("running_driver"))
        .join(trials, trials.c.identity == memberships.c.identity)
        .outerjoin(
            attempts,
            sa.and_(attempts.c.attempt_id == trials.c.attempt_id, attempts.c.state == _RUNNING),
        )
        .where(memberships.c.sweep_id == sweep_id)
        .order_by(memberships.c.position)
    )
    return [_trial_view(row, costs.get(row.identity), row.running_driver in live) for row in rows]


def list_at_work(connection: Connection, identities: Iterable[str], now: float) -> frozenset[str]:
    """Of these trials, those that a living driver runs."""
    live = holding.live_drivers(connection, now)
    query = sa.select(attempts.c.identity, attempts.c.driver).where(attempts.c.state == _RUNNING)
    return frozenset(
        row.identity
        for part in _parts(identities)
        for row in connection.execute(query.where(attempts.c.identity.in_(part)))
        if row.driver in live
    )


def list_running(connection: Connection, sweep_id: str, now: float) -> list[RunningTrial]:
    """Of a sweep's trials those that a living driver runs, in the order of the plan.

    Reads what runs, whatever the number of trials.
    """
    live = holding.live_drivers(connection, now)
    query = (
        sa.select(attempts.c.identity, memberships.c.arm, memberships.c.seed, attempts.c.driver)
        .add_columns(memberships.c.workers, trials.c.attempts, trials.c.fraction)
        .join(memberships, memberships.c.identity == attempts.c.identity)
        .join(trials, trials.c.identity == attempts.c.identity)
        .where(attempts.c.state == _RUNNING, memberships.c.sweep_id == sweep_id)
        .order_by(memberships.c.position)
    )
    fields = RunningTrial.__dataclass_fields__
    return [
        RunningTrial(**{name: getattr(row, name) for name in fields})
        for row in connection.execute(query)
        if row.driver in live
    ]


def list_arms(connection: Connection, sweep_id: str) -> list[ArmRow]:
    """A sweep's arms in the order of the plan."""
    query = sa.select(arms).where(arms.c.sweep_id == sweep_id).order_by(arms.c.position)
    return [
        ArmRow(name=row.name, axis=row.axis, level=row.level, point=row.point)
        for row in connection.execute(query)
    ]


def list_sweeps_of(connection: Connection, identity: str) -> list[str]:
    """Ids of the sweeps a trial belongs to."""
    query = (
        sa.select(memberships.c.sweep_id)
        .where(memberships.c.identity == identity)
        .distinct()
        .order_by(memberships.c.sweep_id)
    )
    return list(connection.execute(query).scalars())


def list_attempts(connection: Connection, identities: Iterable[str]) -> list[AttemptView]:
    """All attempts at these trials, in the order they started."""
    query = (
        sa.select(attempts, holders.c.host)
        .join(holders, holders.c.driver == attempts.c.driver)
        .order_by(attempts.c.attempt_id)
    )
    fields = AttemptView.__dataclass_fields__
    return [
        AttemptView(**{name: getattr(row, name) for name in fields})
        for part in _parts(identities)
        for row in connection.execute(query.where(attempts.c.identity.in_(part)))
    ]


def list_reports(
    connection: Connection, identities: Iterable[str], *, as_said: bool = False
) -> dict[str, list[ReportView]]:
    """Every trial's reports by step; where attempts overlap, the later attempt's.

    With `as_said` every report, in the order they came.
    """
    found: dict[str, list[ReportView]] = {}
    for part in _parts(identities):
        query = sa.select(reports).where(reports.c.identity.in_(part)).order_by(reports.c.seq)
        for row in connection.execute(query):
            found.setdefault(row.identity, []).append(_report_view(row))
    return found if as_said else {identity: _by_step(each) for identity, each in found.items()}


def list_decisions(
    connection: Connection, sweep_id: str, *, after: int = 0, kind: str | None = None
) -> list[DecisionRow]:
    """A sweep's decisions after a `seq`, all or of one kind, in the order they were taken."""
    query = (
        sa.select(decisions)
        .where(decisions.c.sweep_id == sweep_id, decisions.c.seq > after)
        .order_by(decisions.c.seq)
    )
    if kind is not None:
        query = query.where(decisions.c.kind == kind)
    return [
        DecisionRow(seq=row.seq, time=row.time, kind=row.kind, payload=row.payload)
        for row in connection.execute(query)
    ]


def list_evaluations(connection: Connection, identities: Iterable[str]) -> list[EvaluationRow]:
    """Evaluations of these trials' models, oldest first."""
    return [
        EvaluationRow(
            identity=row.identity,
            benchmark=row.benchmark,
            evaluation_identity=row.evaluation_identity,
            time=row.time,
            metrics=row.metrics,
        )
        for part in _parts(identities)
        for row in connection.execute(
            sa.select(evaluations)
            .where(evaluations.c.identity.in_(part))
            .order_by(evaluations.c.time)
        )
    ]


def list_publications(connection: Connection, sweep_id: str) -> list[PublicationRow]:
    """What was enqueued to be shown with a sweep, oldest first."""
    query = (
        sa.select(publications)
        .where(publications.c.sweep_id == sweep_id)
        .order_by(publications.c.seq)
    )
    return [
        PublicationRow(
            seq=row.seq,
            sweep_id=row.sweep_id,
            time=row.time,
            kind=row.kind,
            payload=row.payload,
        )
        for row in connection.execute(query)
    ]


def _trial_view(row: Row[Any], cost: Row[Any] | None, live: bool) -> TrialView:
    state = TrialState(row.state)
    return TrialView(
        identity=row.identity,
        arm=row.arm,
        seed=row.seed,
        state=state,
        workers=row.workers,
        config_json=row.config,
        attempts=row.attempts,
        step=row.step,
        fraction=row.fraction,
        metrics=row.metrics,
        device_seconds=0.0 if cost is None else float(cost.total),
        paid_device_seconds=0.0 if cost is None else float(cost.paid),
        error_kind=row.error_kind,
        error_message=row.error_message,
        checkpoint=checkpoint_of(row),
        model_digest=row.model_digest,
        storage=row.storage,
        reused=state is TrialState.SUCCEEDED and (cost is None or cost.mine == 0),
        live=live,
        changed=row.changed,
    )


def _report_view(row: Row[Any]) -> ReportView:
    return ReportView(
        identity=row.identity,
        attempt_id=row.attempt_id,
        time=row.time,
        step=row.step,
        fraction=row.fraction,
        seconds=row.seconds,
        metrics=row.metrics,
        checkpoint=checkpoint_of(row),
        seq=row.seq,
    )


def _by_step(said: Iterable[ReportView]) -> list[ReportView]:
    steps: dict[int, ReportView] = {}
    for report in said:
        before = steps.get(report.step)
        steps[report.step] = report
        if before is not None and before.attempt_id == report.attempt_id:
            steps[report.step] = replace(
                report,
                metrics={**before.metrics, **report.metrics},
                checkpoint=report.checkpoint or before.checkpoint,
            )
    return [steps[step] for step in sorted(steps)]


def _parts(identities: Iterable[str]) -> Iterable[Sequence[str]]:
    """Identities in parts that fit a query's parameters."""
    unique = list(dict.fromkeys(identities))
    for start in range(0, len(unique), _KEYS_PER_QUERY):
        yield unique[start : start + _KEYS_PER_QUERY]
