"""Whose clock a ledger goes by: its server's, so that drivers need not agree on theirs.

Leases compare a time one machine wrote with what another one holds it to be now. Beside a server
both are the server's. It is asked once a minute; in between this process counts seconds by a clock
that nobody can set.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

ASKED_EVERY = 60.0
"""Seconds between two questions: by how much a clock drifts in them matters to no lease."""
_NOW = sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))


def clock_of(engine: Engine) -> Callable[[], float]:
    """Seconds since 1970 for a ledger: on PostgreSQL the server's, on SQLite this machine's."""
    return ServerClock(engine) if engine.dialect.name == "postgresql" else time.time


class ServerClock:
    """Seconds since 1970 on a PostgreSQL server; threads may share one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked = time.monotonic()
        self._ahead = time.time() - self._asked
        self._ask()

    def __call__(self) -> float:
        """Now. While the server does not answer, counted on from its last answer."""
        if time.monotonic() - self._asked > ASKED_EVERY:
            self._ask()
        return self._ahead + time.monotonic()

    def _ask(self) -> None:
        self._asked = time.monotonic()  # also where it fails: not at every look of an outage
        try:
            with self._engine.connect() as connection:
                said = float(connection.execute(_NOW).scalar_one())
        except DBAPIError:
            return
        self._ahead = said - time.monotonic()
