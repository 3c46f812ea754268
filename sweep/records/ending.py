"""How attempts end: in a state their driver names, or lost with their driver.

What a driver says of an attempt that was taken from it is refused (fencing), so a driver that comes
back from the dead cannot overwrite its successor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from infra.errors import BusyError, InputError, MissingError
from sweep.records import holding, journal
from sweep.records.lifecycle import ATTEMPT_END_STATES, LOST, TrialState
from sweep.records.schema import attempts, holders, trials
from trainer.reporting import TrialOutcome

# Made once: putting a statement together takes longer than SQLite takes to execute it.
_WITH_METRICS = sa.select(attempts, trials.c.metrics.label("known")).join(
    trials, trials.c.identity == attempts.c.identity
)
_ATTEMPT = _WITH_METRICS.where(attempts.c.attempt_id == sa.bindparam("wanted"))
_RUNNING = (
    _WITH_METRICS.add_columns(holders.c.host, holders.c.pid, holders.c.machine)
    .add_columns(holders.c.process_started, holders.c.heartbeat, holders.c.expires)
    .join(holders, holders.c.driver == attempts.c.driver)
    .where(
        attempts.c.identity == sa.bindparam("wanted"),
        attempts.c.state == TrialState.RUNNING.value,
    )
)
ATTEMPT_IS = sa.update(attempts).where(attempts.c.attempt_id == sa.bindparam("which"))
"""Columns are set as the parameters name them; so below."""
TRIAL_IS = sa.update(trials).where(trials.c.identity == sa.bindparam("which"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """How an attempt ended."""

    state: TrialState
    outcome: TrialOutcome | None = None
    error_kind: str | None = None
    error_message: str | None = None
    device_seconds: float | None = None
    """Seconds times devices; from the attempt's start to now when absent."""


def finish(connection: Connection, attempt_id: int, end: AttemptEnd, *, now: float) -> None:
    """End an attempt and move its trial; saying the same end twice is silent.

    Raises:
        BusyError: If the attempt is no longer running and ended in another way.
        InputError: If an attempt cannot end in that state.
    """
    if end.state not in ATTEMPT_END_STATES:
        allowed = ", ".join(sorted(ATTEMPT_END_STATES))
        raise InputError(f"an attempt ends as one of {allowed}, got {end.state}")
    attempt = connection.execute(_ATTEMPT, {"wanted": attempt_id}).first()
    if attempt is not None and attempt.state == end.state.value:
        return
    _close(connection, _running(attempt, attempt_id), end, now=now)


def close_if_lost(connection: Connection, identity: str, now: float) -> None:
    """Give a trial back to `paused` when the driver that runs it is dead."""
    row = connection.execute(_RUNNING, {"wanted": identity}).first()
    if row is None or holding.is_live(row, now):
        return
    seen = max(row.seconds, row.heartbeat - row.started)
    message = f"its driver, process {row.pid} on {row.host}, died or gave no sign of life"
    _close(
        connection,
        row,
        AttemptEnd(
            state=TrialState.PAUSED,
            error_kind="preempted",
            error_message=message,
            device_seconds=seen * row.workers,
        ),
        now=now,
        lost=True,
    )


def _close(
    connection: Connection, attempt: Row[Any], end: AttemptEnd, *, now: float, lost: bool = False
) -> None:
    outcome = end.outcome
    seconds = outcome.seconds if outcome is not None else attempt.seconds
    device_seconds = end.device_seconds
    if device_seconds is None:
        device_seconds = max(0.0, now - attempt.started) * attempt.workers
    error = {"error_kind": end.error_kind, "error_message": end.error_message}
    attempt_state = LOST if lost else end.state.value
    ended = {"state": attempt_state, "ended": now, "seconds": seconds}
    connection.execute(
        ATTEMPT_IS,
        ended | error | {"device_seconds": device_seconds, "which": attempt.attempt_id},
    )
    reached: dict[str, Any] = {}
    if outcome is not None:
        reached = {
            "step": outcome.step,
            "fraction": outcome.fraction,
            "metrics": {**attempt.known, **outcome.metrics},
        }
        if outcome.model_digest is not None:
            reached["model_digest"] = outcome.model_digest
    stands = {"state": end.state.value, "changed": now, "which": attempt.identity}
    connection.execute(TRIAL_IS, stands | error | reached)
    journal.append(
        connection,
        "attempt_lost" if lost else "attempt_finished",
        time=now,
        sweep_id=attempt.sweep_id,
        identity=attempt.identity,
        payload={
            "attempt": attempt.attempt_id,
            "state": end.state.value,
            "device_seconds": device_seconds,
            **{key: value for key, value in error.items() if value is not None},
            **({} if outcome is None else {"outcome": outcome.model_dump(mode="json")}),
        },
    )


def running_attempt(connection: Connection, attempt_id: int) -> Row[Any]:
    """A running attempt's row, with `known`, the last value of every metric of its trial.

    Raises:
        BusyError: If it is no longer running: ended, or taken over.
    """
    return _running(connection.execute(_ATTEMPT, {"wanted": attempt_id}).first(), attempt_id)


def _running(row: Row[Any] | None, attempt_id: int) -> Row[Any]:
    if row is None:
        raise MissingError(f"the ledger has no attempt {attempt_id}")
    if row.state != TrialState.RUNNING.value:
        raise BusyError(
            f"attempt {row.number} of trial {row.identity[:12]} is {row.state}, not running: "
            "another driver has taken the trial over, or the attempt was ended; stop it"
        )
    return row
