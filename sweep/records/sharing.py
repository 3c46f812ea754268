"""What the sweeps on one cluster ask of it, as their drivers keep it up to date.

A driver that died asks for nothing any more: what it wrote lapses like its heartbeat.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sweep.records.rows import Holder
from sweep.records.schema import demands


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one sweep could use of a cluster, in slots: GPUs, or CPUs where there are none."""

    sweep_id: str
    priority: int
    since: float
    """When it came to the cluster; among equals the first one is served first."""
    wanted: int
    """For all that runs or could, as far as its own cap allows."""
    unit: int
    """Of the smallest gang it would start next: fewer are of no use to it."""
    held: int
    """Of what runs."""


def ask(
    connection: Connection,
    cluster: str,
    demand: Demand,
    holder: Holder,
    *,
    ttl_seconds: float,
    now: float,
) -> list[Demand]:
    """Write down what a sweep asks of a cluster; what all of them ask there, this one included."""
    mine = demands.c.sweep_id == demand.sweep_id
    known = connection.execute(
        sa.select(demands.c.since).where(mine, demands.c.cluster == cluster)
    ).scalar()
    # What lapses later than anything written now is of before the clock was set back.
    lapsed = sa.or_(demands.c.expires <= now, demands.c.expires > now + 2 * ttl_seconds)
    connection.execute(sa.delete(demands).where(sa.or_(mine, lapsed)))
    values = asdict(demand) | {"since": demand.since if known is None else known}
    connection.execute(
        sa.insert(demands).values(
            **values, cluster=cluster, driver=holder.driver, expires=now + ttl_seconds
        )
    )
    fields = [demands.c[name] for name in values]
    rows = connection.execute(
        sa.select(*fields).where(demands.c.cluster == cluster).order_by(demands.c.sweep_id)
    )
    return [Demand(**row) for row in rows.mappings()]


def withdraw(connection: Connection, sweep_id: str, holder: Holder) -> None:
    """The sweep asks for nothing any more; silent where another driver asks for it by now."""
    connection.execute(
        sa.delete(demands).where(demands.c.sweep_id == sweep_id, demands.c.driver == holder.driver)
    )
