"""The ledger: the single truth about sweeps, trials, attempts, reports, decisions and costs.

Every write is one transaction that also appends its event; only heartbeats and cursors leave none.
Whoever asks from whichever process gets the same answer, and nothing is kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import sqlalchemy as sa

from infra.errors import InputError
from sweep.records import attempting, ending, holding, journal, overview, reading, registering
from sweep.records.amending import Amendments
from sweep.records.database import open_database
from sweep.records.ending import AttemptEnd
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState, TrialState, sweep_states_before
from sweep.records.log import Clock
from sweep.records.registering import NewSweep, require_sweep
from sweep.records.rows import (
    ArmRow,
    Attempt,
    AttemptView,
    Holder,
    Json,
    ReportView,
    Spent,
    SweepRow,
    TrialRow,
    TrialView,
)
from sweep.records.schema import sweeps
from sweep.records.server_clock import clock_of
from trainer.reporting import TrialOutcome, TrialReport


class Ledger(Amendments):
    """Reads and writes the ledger; threads may share one, forked processes open their own."""

    @classmethod
    def open(cls, url: str, *, clock: Clock | None = None) -> Ledger:
        """The ledger at an address, made when there is none.

        Its clock is the server's where there is one, else this machine's.

        Raises:
            InputError: If the address is no SQLite file's and no PostgreSQL server's.
            SchemaError: If a newer version of this project wrote it.
            StoreError: If it cannot be reached.
        """
        database = open_database(url)
        return cls(database, clock=clock or clock_of(database.engine))

    def close(self) -> None:
        """Close its connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def register_sweep(  # noqa: PLR0913 -- what a sweep is made of
        self,
        sweep_id: str,
        name: str,
        spec_json: Json,
        *,
        arms: Sequence[ArmRow],
        trials: Sequence[TrialRow],
        tracking_uri: str,
        storage: str,
        created: float | None = None,
    ) -> bool:
        """Write a sweep with its arms and trials; False when all of it was there already.

        Raises:
            InputError: If the id is taken by a sweep with another spec, store or trials.
        """
        sweep = NewSweep(
            sweep_id=sweep_id,
            name=name,
            spec_json=spec_json,
            tracking_uri=tracking_uri,
            storage=storage,
            created=self._clock() if created is None else created,
        )
        with self.database.writing() as connection:
            return registering.register(connection, sweep, arms=arms, trials=trials)

    def add_trials(
        self, sweep_id: str, *, arms: Sequence[ArmRow] = (), trials: Sequence[TrialRow]
    ) -> int:
        """Add what the sweep does not have yet; how many trials were new.

        Raises:
            InputError: If a trial is there under another identity.
        """
        with self.database.writing() as connection:
            require_sweep(connection, sweep_id)
            return registering.extend(
                connection, sweep_id, arms=arms, trials=trials, now=self._clock()
            )

    def sweeps(self) -> list[SweepRow]:
        """All sweeps, newest first."""
        with self.database.reading() as connection:
            return overview.list_sweeps(connection, self._clock())

    def sweep(self, name_or_id_prefix: str) -> SweepRow:
        """The sweep of that id, the newest of that name, or the only one whose id starts so.

        Raises:
            MissingError: Naming near names, or the sweeps an ambiguous prefix fits.
        """
        with self.database.reading() as connection:
            return overview.find_sweep(connection, name_or_id_prefix, self._clock())

    def arms(self, sweep_id: str) -> list[ArmRow]:
        """A sweep's arms in the order of the plan."""
        with self.database.reading() as connection:
            return reading.list_arms(connection, sweep_id)

    def set_sweep_state(self, sweep_id: str, state: SweepState, reason: str = "") -> None:
        """Move a sweep; silent when it is there already.

        Raises:
            InputError: If that move is not allowed.
            MissingError: If there is no such sweep.
        """
        now = self._clock()
        with self.database.writing() as connection:
            moved = connection.execute(
                sa.update(sweeps)
                .where(
                    sweeps.c.sweep_id == sweep_id, sweeps.c.state.in_(sweep_states_before(state))
                )
                .values(
                    state=state.value,
                    reason=reason,
                    ended=now if state in ENDED_SWEEP_STATES else None,
                )
            )
            if moved.rowcount == 0:
                current = require_sweep(connection, sweep_id)
                if current is state:
                    return
                raise InputError(f"sweep {sweep_id} is {current} and cannot become {state}")
            payload = {"state": state.value, "reason": reason}
            journal.append(connection, "sweep_state", time=now, sweep_id=sweep_id, payload=payload)

    def request_stop(self, sweep_id: str) -> None:
        """Ask the sweep's driver to checkpoint and end; taken back when a driver takes it anew."""
        now = self._clock()
        with self.database.writing() as connection:
            require_sweep(connection, sweep_id)
            connection.execute(
                sa.update(sweeps).where(sweeps.c.sweep_id == sweep_id).values(stop_requested=now)
            )
            journal.append(connection, "stop_requested", time=now, sweep_id=sweep_id, payload={})

    def stop_requested(self, sweep_id: str) -> bool:
        """Whether the sweep was asked to end."""
        with self.database.reading() as connection:
            query = sa.select(sweeps.c.stop_requested).where(sweeps.c.sweep_id == sweep_id)
            return connection.execute(query).scalar() is not None

    def acquire_sweep(self, sweep_id: str, holder: Holder, ttl_seconds: float) -> None:
        """Make this driver the sweep's, taking over from a dead one.

        Raises:
            BusyError: If another living driver holds the sweep.
            MissingError: If there is no such sweep.
        """
        with self.database.writing() as connection:
            require_sweep(connection, sweep_id)
            holding.sign_of_life(connection, holder, ttl_seconds=ttl_seconds, now=self._clock())
        with self.database.writing() as connection:
            holding.acquire(connection, sweep_id, holder, self._clock())

    def heartbeat(self, holder: Holder, ttl_seconds: float) -> None:
        """Say that this driver lives.

        Raises:
            BusyError: If a sweep was taken from it meanwhile: it must end its trials.
        """
        with self.database.writing() as connection:
            holding.refuse_if_taken_over(connection, holder)
            holding.sign_of_life(connection, holder, ttl_seconds=ttl_seconds, now=self._clock())

    def release_sweep(self, sweep_id: str, holder: Holder, *, interrupted: bool = False) -> None:
        """Let go of a sweep, `interrupted` from outside; silent if this driver does not hold it."""
        with self.database.writing() as connection:
            holding.release(connection, sweep_id, holder, self._clock(), interrupted=interrupted)

    def trials(self, sweep_id: str) -> list[TrialView]:
        """A sweep's trials in the order of the plan; three queries, whatever their number."""
        with self.database.reading() as connection:
            return reading.list_trials(connection, sweep_id, self._clock())

    def claim(  # noqa: PLR0913 -- who claims what
        self,
        identity: str,
        sweep_id: str,
        holder: Holder,
        ttl_seconds: float,
        workers: float = 1,
        *,
        retry: bool = False,
        afresh: bool = False,
    ) -> Attempt | None:
        """The right to run a trial, or None when it is finished or somebody alive runs it.

        Also a sign of life. A trial whose driver died is taken over; a failed one needs `retry`.
        With `afresh` its checkpoint counts no more: the attempt starts without one.

        Raises:
            MissingError: If the sweep has no such trial.
        """
        now = self._clock()
        with self.database.writing() as connection:
            holding.beat(connection, holder, ttl_seconds=ttl_seconds, now=now)
            return attempting.claim(
                connection,
                identity,
                sweep_id,
                holder=holder,
                workers=workers,
                retry=retry,
                afresh=afresh,
                now=now,
            )

    def record_report(self, attempt_id: int, report: TrialReport) -> None:
        """Write what a running attempt said.

        Raises:
            BusyError: If the attempt is no longer running: ended, or taken over.
        """
        with self.database.writing() as connection:
            attempting.record_report(connection, attempt_id, report, now=self._clock())

    def finish_attempt(
        self,
        attempt_id: int,
        state: TrialState,
        outcome: TrialOutcome | None = None,
        error_kind: str | None = None,
        error_message: str | None = None,
        device_seconds: float | None = None,
    ) -> None:
        """End an attempt and move its trial; saying the same end twice is silent.

        Args:
            attempt_id: As `claim` gave it.
            state: `paused`, `succeeded`, `failed`, `stopped_early` or `cancelled`.
            outcome: What the trial returned, if it did not fail.
            error_kind: `TrialFailure.kind` of a failure.
            error_message: Its text, with the rank's traceback.
            device_seconds: Seconds times devices; wall time times workers when absent.

        Raises:
            BusyError: If the attempt is no longer running and ended in another way.
        """
        end = AttemptEnd(
            state=state,
            outcome=outcome,
            error_kind=error_kind,
            error_message=error_message,
            device_seconds=device_seconds,
        )
        with self.database.writing() as connection:
            ending.finish(connection, attempt_id, end, now=self._clock())

    def attempts(self, identities: Iterable[str]) -> list[AttemptView]:
        """All attempts at these trials, in the order they started."""
        with self.database.reading() as connection:
            return reading.list_attempts(connection, identities)

    def reports(
        self, identities: Iterable[str], *, as_said: bool = False
    ) -> dict[str, list[ReportView]]:
        """Reports by step, the later attempt's where they overlap; `as_said`: all, as they came."""
        with self.database.reading() as connection:
            return reading.list_reports(connection, identities, as_said=as_said)

    def spent(self, sweep_id: str) -> Spent:
        """What a sweep has used up until now."""
        with self.database.reading() as connection:
            return overview.spent(connection, sweep_id, self._clock())

    def sweeps_of(self, identity: str) -> list[str]:
        """Ids of the sweeps a trial belongs to."""
        with self.database.reading() as connection:
            return reading.list_sweeps_of(connection, identity)
