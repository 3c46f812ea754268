"""A connection that is lost around a commit: each write of the ledger is whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import sqlalchemy as sa

from infra.errors import StoreError
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.schema import metadata
from sweep.records.sharing import Demand
from sweep.replay.working import SimulatedClock
from tests.postgresql import create_database, drop_database
from tests.records.rows import (
    TTL,
    checkpoint,
    identity_of,
    outcome,
    register,
    report,
    stranger,
    trial_rows,
)
from tests.relay import Relay, Way

pytestmark = pytest.mark.slow

SWEEP = "head-1a2b3c4d"
DRIVER = stranger("driver")
Moment = Literal["before", "after"]
Tables = dict[str, list[dict[str, Any]]]


class LossyRelay(Relay):
    """Loses the connection of the next commit, before the server hears of it or after."""

    moment: Moment | None = None

    def passes(self, data: bytes, *, to_server: bool, way: Way) -> bool:
        if to_server and self.moment is not None and b"COMMIT" in data:
            moment, self.moment = self.moment, None
            if moment == "before":
                return False
            way.deaf = True
        return super().passes(data, to_server=to_server, way=way)


def _begun(ledger: Ledger) -> None:
    """A sweep with a driver, one trial at work, one done."""
    register(ledger)
    ledger.acquire_sweep(SWEEP, DRIVER, TTL)
    ledger.set_sweep_state(SWEEP, SweepState.RUNNING)
    for number in (0, 1):
        assert ledger.claim(identity_of(number), SWEEP, DRIVER, TTL) is not None
    ledger.record_report(1, report(10, checkpoint=checkpoint(10)))
    ledger.finish_attempt(2, TrialState.SUCCEEDED, outcome())


def _told_together(ledger: Ledger) -> None:
    with ledger.together():
        ledger.record_report(1, report(20))
        ledger.record_decision(SWEEP, "decided", {"what": "more"})
        ledger.claim(identity_of(2), SWEEP, DRIVER, TTL)


DEMAND = Demand(sweep_id=SWEEP, priority=0, since=0.0, wanted=4, unit=1, held=1)
WRITES: dict[str, Callable[[Ledger], object]] = {
    "register": lambda ledger: register(ledger, "other-1a2b3c4d", trials=trial_rows(2, first=2)),
    "add trials": lambda ledger: ledger.add_trials(SWEEP, trials=trial_rows(2, first=4)),
    "claim": lambda ledger: ledger.claim(identity_of(2), SWEEP, DRIVER, TTL),
    "report": lambda ledger: ledger.record_report(1, report(20, checkpoint=checkpoint(20))),
    "finish": lambda ledger: ledger.finish_attempt(1, TrialState.SUCCEEDED, outcome()),
    "together": _told_together,
    "decide": lambda ledger: ledger.record_decision(SWEEP, "decided", {"what": "more"}),
    "evaluate": lambda ledger: ledger.record_evaluation(
        identity_of(1), "test", "e" * 64, {"accuracy": 0.5}
    ),
    "publish": lambda ledger: ledger.enqueue_publication(SWEEP, "report", {"key": "r"}),
    "heartbeat": lambda ledger: ledger.heartbeat(DRIVER, 2 * TTL),
    "release": lambda ledger: ledger.release_sweep(SWEEP, DRIVER),
    "end": lambda ledger: ledger.set_sweep_state(SWEEP, SweepState.SUCCEEDED),
    "stop": lambda ledger: ledger.request_stop(SWEEP),
    "stop an arm": lambda ledger: ledger.request_arm_stop(SWEEP, "arm-1"),
    "set a budget": lambda ledger: ledger.set_budget(SWEEP, {"trials": 3}),
    "move the cursor": lambda ledger: ledger.set_cursor("publisher", 5),
    "take a lease": lambda ledger: ledger.take_lease("publisher", DRIVER, TTL),
    "ask for a share": lambda ledger: ledger.ask("cluster", DEMAND, DRIVER, TTL),
}
ADDS_ANOTHER = {"report", "together", "decide", "evaluate", "publish", "stop", "stop an arm"}
"""Said twice, these are two entries of the log; who says them has ended with the first loss, or is
a person."""
UNHURRIED = {"options": "-csynchronous_commit=off"}
"""What is written reaches the disk later: a lost connection loses nothing of it."""


@dataclass(frozen=True)
class Twins:
    """Two databases alike, the second behind a relay."""

    calm: str
    lossy: str
    relay: LossyRelay


@pytest.fixture(scope="module")
def twins(postgresql_server: str) -> Iterator[Twins]:
    calm, behind = (create_database(postgresql_server) for _ in range(2))
    calm = sa.make_url(calm).update_query_dict(UNHURRIED).render_as_string(hide_password=False)
    there = sa.make_url(behind)
    with LossyRelay(Path(str(there.query["host"])) / ".s.PGSQL.5432") as relay:
        lossy = there.set(host="127.0.0.1", port=relay.port, query=UNHURRIED)
        yield Twins(calm, lossy.render_as_string(hide_password=False), relay)
    for url in (calm, behind):
        drop_database(postgresql_server, url)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", list(WRITES))
def test_a_write_whose_connection_is_lost_is_whole_or_not_at_all(
    twins: Twins, write: str, moment: Moment
) -> None:
    with _opened(twins.calm) as ledger:
        _begun(ledger)
        without = _tables(ledger)
        WRITES[write](ledger)
        whole = _tables(ledger)
    with _opened(twins.lossy) as ledger:
        _begun(ledger)
        twins.relay.moment = moment

        with pytest.raises(StoreError, match="the ledger postgresql"):
            WRITES[write](ledger)

        assert twins.relay.moment is None
        assert _tables(ledger) == (whole if moment == "after" else without)
        if moment == "after" and write not in ADDS_ANOTHER:
            WRITES[write](ledger)
            assert _tables(ledger) == whole


def _opened(url: str) -> Ledger:
    """A ledger without sweeps; a database for each write would take most of the time."""
    ledger = Ledger.open(url, clock=SimulatedClock())
    with ledger.database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "meta":
                connection.execute(sa.delete(table))
        for numbered in ("attempts', 'attempt_id", "holds', 'hold_id"):
            sequence = f"pg_get_serial_sequence('{numbered}')"
            connection.execute(sa.text(f"SELECT setval({sequence}, 1, false)"))
    return ledger


def _tables(ledger: Ledger) -> Tables:
    with ledger.database.reading() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(_ordered(table)).mappings()]
            for table in metadata.sorted_tables
        }


def _ordered(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table).order_by(*table.primary_key.columns)
