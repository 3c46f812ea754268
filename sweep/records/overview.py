"""Sweeps as a whole: the list of them, finding one by what the user typed, what one has spent."""

from __future__ import annotations

import difflib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from infra.errors import MissingError
from sweep.records import holding
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState, TrialState
from sweep.records.rows import Spent, SweepRow
from sweep.records.schema import attempts, holders, holds, memberships, sweeps, trials


def list_sweeps(
    connection: Connection, now: float, *, only: str | None = None, unfinished: bool = False
) -> list[SweepRow]:
    """All sweeps, newest first; or the one of an id alone, if there is one.

    With `unfinished` those that have not ended or that a living driver holds. The trials of others
    are not counted then, of which a ledger in use has 100,000.
    """
    live = holding.live_drivers(connection, now)
    succeeded = sa.func.sum(sa.case((trials.c.state == TrialState.SUCCEEDED.value, 1), else_=0))
    counted = (
        sa.select(memberships.c.sweep_id, sa.func.count().label("trials"))
        .add_columns(succeeded.label("succeeded"))
        .join(trials, trials.c.identity == memberships.c.identity)
        .group_by(memberships.c.sweep_id)
    )
    query = sa.select(sweeps).order_by(sweeps.c.created.desc(), sweeps.c.sweep_id.desc())
    if only is not None:
        query = query.where(sweeps.c.sweep_id == only)
    if unfinished:
        ended = [state.value for state in ENDED_SWEEP_STATES]
        query = query.where(sweeps.c.state.not_in(ended) | sweeps.c.driver.in_(live))
    found = connection.execute(query).all()
    if only is not None or unfinished:
        counted = counted.where(memberships.c.sweep_id.in_([row.sweep_id for row in found]))
    counts = {row.sweep_id: row for row in connection.execute(counted)}
    return [
        SweepRow(
            sweep_id=row.sweep_id,
            name=row.name,
            state=SweepState(row.state),
            reason=row.reason,
            spec_json=row.spec,
            tracking_uri=row.tracking_uri,
            storage=row.storage,
            created=row.created,
            ended=row.ended,
            stop_requested=row.stop_requested is not None,
            driver=row.driver,
            live=row.driver in live,
            trials=counts[row.sweep_id].trials if row.sweep_id in counts else 0,
            succeeded=counts[row.sweep_id].succeeded if row.sweep_id in counts else 0,
        )
        for row in found
    ]


def find_sweep(connection: Connection, name_or_id_prefix: str, now: float) -> SweepRow:
    """The sweep of that id, the newest of that name, or the only one whose id starts so.

    Raises:
        MissingError: Naming near names, or the sweeps an ambiguous prefix fits.
    """
    for row in list_sweeps(connection, now, only=name_or_id_prefix):
        return row
    known = list_sweeps(connection, now)
    for row in known:
        if row.name == name_or_id_prefix:
            return row
    fitting = [
        row for row in known if name_or_id_prefix and row.sweep_id.startswith(name_or_id_prefix)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        listed = ", ".join(row.sweep_id for row in fitting[:5])
        raise MissingError(f"{name_or_id_prefix!r} fits {len(fitting)} sweeps ({listed}); say more")
    names = list(dict.fromkeys(name for row in known for name in (row.name, row.sweep_id)))
    near = difflib.get_close_matches(name_or_id_prefix, names, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; `rmsweep ls` lists them"
    raise MissingError(f"no sweep is called {name_or_id_prefix!r}{hint}")


def spent(connection: Connection, sweep_id: str, now: float) -> Spent:
    """What a sweep has used up until now."""
    live = holding.live_drivers(connection, now)
    running = connection.execute(
        sa.select(attempts, holders.c.heartbeat)
        .join(holders, holders.c.driver == attempts.c.driver)
        .where(attempts.c.sweep_id == sweep_id, attempts.c.state == TrialState.RUNNING.value)
    )
    under_way = sum(
        max(row.seconds, (now if row.driver in live else row.heartbeat) - row.started) * row.workers
        for row in running
    )
    failed = sa.func.sum(sa.case((attempts.c.state == TrialState.FAILED.value, 1), else_=0))
    totals = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(attempts.c.device_seconds), 0.0).label("seconds"))
        .add_columns(sa.func.count().label("attempts"), failed.label("failures"))
        .add_columns(sa.func.count(sa.distinct(attempts.c.identity)).label("trials"))
        .where(attempts.c.sweep_id == sweep_id)
    ).one()
    held = connection.execute(
        sa.select(holds, holders.c.heartbeat)
        .join(holders, holders.c.driver == holds.c.driver)
        .where(holds.c.sweep_id == sweep_id)
    )
    wall = 0.0
    for row in held:
        until = row.released
        if until is None:
            until = now if row.driver in live else row.heartbeat
        wall += max(0.0, until - row.acquired)
    return Spent(
        device_seconds=float(totals.seconds) + under_way,
        wall_seconds=wall,
        attempts=totals.attempts,
        failures=totals.failures or 0,
        trials_started=totals.trials,
    )
