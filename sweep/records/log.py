"""The ledger's log and what is only ever added: decisions, evaluations, publications, cursors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from infra.errors import MissingError
from sweep.records import holding, journal, overview, reading, sharing
from sweep.records.database import Database
from sweep.records.registering import require_sweep
from sweep.records.rows import (
    DecisionRow,
    EvaluationRow,
    Event,
    Holder,
    Json,
    PublicationRow,
    RunningTrial,
    SweepRow,
)
from sweep.records.schema import decisions, evaluations, publications, trials
from sweep.records.sharing import Demand

Clock = Callable[[], float]
"""Seconds since 1970."""
_DECIDED = sa.insert(decisions)


class Log:
    """The part of the ledger that only grows."""

    def __init__(self, database: Database, *, clock: Clock = time.time) -> None:
        self.database = database
        self.address = database.address
        """Where it is, without password."""
        self._clock = clock

    def now(self) -> float:
        """The time that what is written bears, in seconds since 1970."""
        return self._clock()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Writes of this thread that are one transaction: all of them happen, or none.

        Others wait for their turn meanwhile, so nothing slow belongs in here.
        """
        with self.database.writing():
            yield

    def record_decision(self, sweep_id: str, kind: str, payload: Json) -> int:
        """Write a decision of the engine; its place in the log."""
        now = self._clock()
        with self.database.writing() as connection:
            seq = journal.append(
                connection,
                "decision",
                time=now,
                sweep_id=sweep_id,
                payload={"kind": kind, "decision": dict(payload)},
            )
            values = {"seq": seq, "sweep_id": sweep_id, "time": now, "kind": kind}
            connection.execute(_DECIDED, values | {"payload": dict(payload)})
            return seq

    def decisions(
        self, sweep_id: str, *, after: int = 0, kind: str | None = None
    ) -> list[DecisionRow]:
        """A sweep's decisions after a `seq`, all or of one kind, in the order they were taken."""
        with self.database.reading() as connection:
            return reading.list_decisions(connection, sweep_id, after=after, kind=kind)

    def record_evaluation(
        self, identity: str, benchmark: str, evaluation_identity: str, metrics: dict[str, float]
    ) -> None:
        """Write a model's metrics on a benchmark; a repeated evaluation replaces the first.

        The trial's own metrics get them as `eval/<benchmark>/<metric>`.
        """
        now = self._clock()
        values = {
            "identity": identity,
            "evaluation_identity": evaluation_identity,
            "benchmark": benchmark,
            "time": now,
            "metrics": metrics,
        }
        named = {f"eval/{benchmark}/{name}": value for name, value in metrics.items()}
        with self.database.writing() as connection:
            known = connection.execute(
                sa.select(trials.c.metrics).where(trials.c.identity == identity)
            ).scalar()
            if known is None:
                raise MissingError(f"the ledger has no trial {identity}")
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(
                dialect.insert(evaluations)
                .values(values)
                .on_conflict_do_update(
                    index_elements=["identity", "evaluation_identity"], set_=values
                )
            )
            connection.execute(
                sa.update(trials)
                .where(trials.c.identity == identity)
                .values(metrics={**known, **named}, changed=now)
            )
            journal.append(
                connection,
                "evaluation",
                time=now,
                identity=identity,
                payload={
                    "benchmark": benchmark,
                    "evaluation": evaluation_identity,
                    "metrics": metrics,
                },
            )

    def evaluations(self, identities: Iterable[str]) -> list[EvaluationRow]:
        """Evaluations of these trials' models, oldest first."""
        with self.database.reading() as connection:
            return reading.list_evaluations(connection, identities)

    def registered(self, sweep_id: str) -> SweepRow | None:
        """The sweep of exactly that id, if there is one; counts no other sweep's trials."""
        with self.database.reading() as connection:
            return next(iter(overview.list_sweeps(connection, self._clock(), only=sweep_id)), None)

    def unfinished(self) -> list[SweepRow]:
        """Sweeps that have not ended or that a living driver holds; counts no other's trials."""
        with self.database.reading() as connection:
            return overview.list_sweeps(connection, self._clock(), unfinished=True)

    def running(self, sweep_id: str) -> list[RunningTrial]:
        """Of a sweep's trials those that a living driver runs; reads no others."""
        with self.database.reading() as connection:
            return reading.list_running(connection, sweep_id, self._clock())

    def at_work(self, identities: Iterable[str]) -> frozenset[str]:
        """Of these trials, those that a living driver runs."""
        with self.database.reading() as connection:
            return reading.list_at_work(connection, identities, self._clock())

    def enqueue_publication(self, sweep_id: str, kind: str, payload: Json) -> int:
        """Ask for something to be shown with a sweep; see `sweep.records.publisher`."""
        now = self._clock()
        with self.database.writing() as connection:
            require_sweep(connection, sweep_id)
            seq = journal.append(
                connection,
                "publication",
                time=now,
                sweep_id=sweep_id,
                payload={"kind": kind, "publication": dict(payload)},
            )
            connection.execute(
                sa.insert(publications).values(
                    seq=seq, sweep_id=sweep_id, time=now, kind=kind, payload=dict(payload)
                )
            )
            return seq

    def publications(self, sweep_id: str) -> list[PublicationRow]:
        """What was enqueued to be shown with a sweep, oldest first."""
        with self.database.reading() as connection:
            return reading.list_publications(connection, sweep_id)

    def events(
        self, after: int = 0, limit: int | None = 1000, *, sweep_id: str | None = None
    ) -> list[Event]:
        """Events after a `seq`, oldest first; of one sweep, also those of its shared trials.

        Args:
            after: Last `seq` the reader has seen.
            limit: At most so many; all when None.
            sweep_id: Leave out what concerns neither this sweep nor one of its trials.
        """
        with self.database.reading() as connection:
            return journal.read(connection, after=after, limit=limit, sweep_id=sweep_id)

    def cursor(self, name: str) -> int:
        """Where a reader of the log has got to; 0 when it never read."""
        with self.database.reading() as connection:
            return journal.cursor(connection, name)

    def set_cursor(self, name: str, seq: int) -> None:
        """Remember where a reader of the log has got to; it never moves back."""
        with self.database.writing() as connection:
            journal.set_cursor(connection, name, seq)

    def take_lease(self, name: str, holder: Holder, ttl_seconds: float) -> bool:
        """Take or renew the right to do something alone; False while somebody alive has it."""
        with self.database.writing() as connection:
            return holding.take_lease(
                connection, name, holder, ttl_seconds=ttl_seconds, now=self._clock()
            )

    def give_back_lease(self, name: str, holder: Holder) -> None:
        """Let others have it; silent when this holder does not have it."""
        with self.database.writing() as connection:
            holding.give_back_lease(connection, name, holder)

    def ask(self, cluster: str, demand: Demand, holder: Holder, ttl_seconds: float) -> list[Demand]:
        """Say what a sweep asks of a cluster; what every living sweep asks there, with this one."""
        with self.database.writing() as connection:
            return sharing.ask(
                connection, cluster, demand, holder, ttl_seconds=ttl_seconds, now=self._clock()
            )
