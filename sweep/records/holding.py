"""Who drives a sweep: holders, their heartbeats, taking over from the dead.

A sweep has at most one living driver. A driver that lost a sweep learns it at its next heartbeat
and must stop: what it writes for its attempts is refused from then on.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from infra.errors import BusyError
from sweep.records import journal, sharing
from sweep.records.liveness import is_known_dead
from sweep.records.rows import Holder
from sweep.records.schema import holders, holds, leases, sweeps

_BEAT = sa.update(holders).where(holders.c.driver == sa.bindparam("who"))


def beat(connection: Connection, holder: Holder, *, ttl_seconds: float, now: float) -> None:
    """Note that a driver lives until `now + ttl_seconds`."""
    values: dict[str, Any] = {"heartbeat": now, "expires": now + ttl_seconds}
    changed = connection.execute(_BEAT, values | {"who": holder.driver})
    if changed.rowcount == 0:
        values |= {
            "driver": holder.driver,
            "pid": holder.pid,
            "host": holder.host,
            "machine": holder.machine,
            "process_started": holder.process_started,
        }
        connection.execute(sa.insert(holders).values(values))


def sign_of_life(connection: Connection, holder: Holder, *, ttl_seconds: float, now: float) -> None:
    """`beat`, and bring signs of life that lie in the future back to now.

    They are of before the clock was set back: a dead driver's would count until it has caught up,
    a living one gives its next within seconds. Clocks of machines may differ by `ttl_seconds`.
    """
    connection.execute(
        sa.update(holders)
        .where(holders.c.heartbeat > now + ttl_seconds)
        .values(heartbeat=now, expires=now + ttl_seconds)
    )
    beat(connection, holder, ttl_seconds=ttl_seconds, now=now)


def refuse_if_taken_over(connection: Connection, holder: Holder) -> None:
    """Raise `BusyError` when another driver took a sweep from this one."""
    taken = connection.execute(
        sa.select(holds.c.sweep_id, holders.c.host, holders.c.pid)
        .join(holders, holders.c.driver == holds.c.taken_by)
        .where(holds.c.driver == holder.driver, holds.c.taken_by.is_not(None))
    ).first()
    if taken is not None:
        raise BusyError(
            f"sweep {taken.sweep_id} was taken over by process {taken.pid} on {taken.host} while "
            "this driver gave no sign of life; nothing was lost, this driver ends"
        )


def is_live(row: Row[Any] | None, now: float) -> bool:
    """Whether the holder in a row of `holders` (or one joined to it) lives."""
    if row is None or row.expires is None or row.expires <= now:
        return False
    return not is_known_dead(machine=row.machine, pid=row.pid, process_started=row.process_started)


def live_drivers(connection: Connection, now: float) -> frozenset[str]:
    """Every driver that lives."""
    rows = connection.execute(sa.select(holders).where(holders.c.expires > now))
    return frozenset(row.driver for row in rows if is_live(row, now))


def acquire(connection: Connection, sweep_id: str, holder: Holder, now: float) -> None:
    """Make a driver the sweep's; its heartbeat is already noted.

    Raises:
        BusyError: If another living driver holds the sweep.
    """
    row = connection.execute(
        sa.select(holders)
        .join(sweeps, sweeps.c.driver == holders.c.driver)
        .where(sweeps.c.sweep_id == sweep_id)
    ).first()
    if row is not None and row.driver == holder.driver:
        return
    if is_live(row, now):
        assert row is not None
        raise BusyError(
            f"sweep {sweep_id} is driven by process {row.pid} on {row.host}, last heard "
            f"{max(0.0, now - row.heartbeat):.0f} s ago; wait for it or stop it first"
        )
    if row is not None:
        connection.execute(
            sa.update(holds)
            .where(
                holds.c.sweep_id == sweep_id,
                holds.c.driver == row.driver,
                holds.c.released.is_(None),
            )
            .values(released=row.heartbeat, taken_by=holder.driver)
        )
    connection.execute(
        sa.update(sweeps)
        .where(sweeps.c.sweep_id == sweep_id)
        .values(driver=holder.driver, stop_requested=None)
    )
    connection.execute(
        sa.insert(holds).values(sweep_id=sweep_id, driver=holder.driver, acquired=now)
    )
    journal.append(
        connection,
        "sweep_acquired",
        time=now,
        sweep_id=sweep_id,
        payload={
            "driver": holder.driver,
            "host": holder.host,
            "pid": holder.pid,
            "taken_from": None if row is None else row.driver,
        },
    )


def release(
    connection: Connection, sweep_id: str, holder: Holder, now: float, *, interrupted: bool
) -> None:
    """Let go of a sweep; silent when the driver does not hold it."""
    sharing.withdraw(connection, sweep_id, holder)
    let_go = connection.execute(
        sa.update(sweeps)
        .where(sweeps.c.sweep_id == sweep_id, sweeps.c.driver == holder.driver)
        .values(driver=None)
    )
    if let_go.rowcount == 0:
        return
    connection.execute(
        sa.update(holds)
        .where(
            holds.c.sweep_id == sweep_id,
            holds.c.driver == holder.driver,
            holds.c.released.is_(None),
        )
        .values(released=now)
    )
    still_held = connection.execute(
        sa.select(sweeps.c.sweep_id).where(sweeps.c.driver == holder.driver)
    ).first()
    if still_held is None:
        # Whatever it left running may be claimed at once.
        connection.execute(
            sa.update(holders).where(holders.c.driver == holder.driver).values(expires=now)
        )
    payload = {"driver": holder.driver, "interrupted": interrupted}
    journal.append(connection, "sweep_released", time=now, sweep_id=sweep_id, payload=payload)


def take_lease(
    connection: Connection, name: str, holder: Holder, *, ttl_seconds: float, now: float
) -> bool:
    """Take or renew the right to do something alone; False while somebody alive has it."""
    row = connection.execute(sa.select(leases).where(leases.c.name == name)).first()
    if row is not None and row.driver != holder.driver and is_live(row, now):
        if row.expires > now + 2 * ttl_seconds:  # of before the clock was set back
            this = leases.c.name == name
            connection.execute(sa.update(leases).where(this).values(expires=now + ttl_seconds))
        return False
    connection.execute(sa.delete(leases).where(leases.c.name == name))
    connection.execute(
        sa.insert(leases).values(
            name=name,
            driver=holder.driver,
            pid=holder.pid,
            machine=holder.machine,
            process_started=holder.process_started,
            expires=now + ttl_seconds,
        )
    )
    return True


def give_back_lease(connection: Connection, name: str, holder: Holder) -> None:
    """Let others have it; silent when this holder does not have it."""
    connection.execute(
        sa.delete(leases).where(leases.c.name == name, leases.c.driver == holder.driver)
    )
