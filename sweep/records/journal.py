"""The log of everything that was written: appending inside a transaction, and reading on.

`seq` is counted under the writers' lock: no gaps, and a greater `seq` was committed later.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sweep.records.rows import Event, Json
from sweep.records.schema import cursors, events, memberships

_NEXT = sa.select(sa.func.coalesce(sa.func.max(events.c.seq), 0) + 1).scalar_subquery()
_APPEND = sa.insert(events).values(seq=_NEXT).returning(events.c.seq)
"""Made once: putting a statement together takes longer than SQLite takes to execute it."""
_READ = (
    sa.select(events)
    .where(events.c.seq > sa.bindparam("after"))
    .order_by(events.c.seq)
    .limit(sa.bindparam("at_most"))
)
_READ_SWEEP = _READ.where(
    (events.c.sweep_id == sa.bindparam("of_sweep"))
    # Asked event by event: a list of the members would be made anew for every look.
    | sa.exists().where(
        memberships.c.sweep_id == sa.bindparam("of_sweep"),
        memberships.c.identity == events.c.identity,
    )
)
_ALL = 2**62


def append(
    connection: Connection,
    kind: str,
    *,
    time: float,
    payload: Json,
    sweep_id: str | None = None,
    identity: str | None = None,
) -> int:
    """Add an event to the running transaction; its `seq`."""
    values: dict[str, Any] = {
        "time": time,
        "kind": kind,
        "sweep_id": sweep_id,
        "identity": identity,
        "payload": dict(payload),
    }
    return int(connection.execute(_APPEND, values).scalar_one())


def read(
    connection: Connection, *, after: int, limit: int | None, sweep_id: str | None = None
) -> list[Event]:
    """Events after a `seq`, oldest first; of one sweep, also those of its shared trials."""
    values: dict[str, Any] = {"after": after, "at_most": _ALL if limit is None else limit}
    query = _READ
    if sweep_id is not None:
        query, values = _READ_SWEEP, values | {"of_sweep": sweep_id}
    return [
        Event(
            seq=row.seq,
            time=row.time,
            kind=row.kind,
            sweep_id=row.sweep_id,
            identity=row.identity,
            payload=row.payload,
        )
        for row in connection.execute(query, values)
    ]


def cursor(connection: Connection, name: str) -> int:
    """Where a reader has got to; 0 when it never read."""
    found = connection.execute(sa.select(cursors.c.seq).where(cursors.c.name == name)).scalar()
    return int(found or 0)


def set_cursor(connection: Connection, name: str, seq: int) -> None:
    """Remember where a reader has got to; it never moves back."""
    moved = connection.execute(
        sa.update(cursors)
        .where(cursors.c.name == name)
        .values(seq=sa.case((cursors.c.seq > seq, cursors.c.seq), else_=seq))
    )
    if moved.rowcount == 0:
        connection.execute(sa.insert(cursors).values(name=name, seq=seq))
