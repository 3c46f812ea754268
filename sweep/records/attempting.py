"""Executing a trial: claiming it, what it reports, moving it while nobody executes it.

A claim is the only way to `running`, and a partial unique index allows one running attempt per
identity.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from infra.errors import InputError, MissingError
from sweep.records import journal
from sweep.records.ending import close_if_lost, metrics_of, running_attempt
from sweep.records.lifecycle import (
    TrialState,
    trial_states_before,
)
from sweep.records.rows import Attempt, Holder
from sweep.records.schema import attempts, memberships, reports, sweeps, trials
from trainer.reporting import CheckpointReference, TrialReport


def checkpoint_of(row: Row[Any]) -> CheckpointReference | None:
    """The checkpoint named in a row of `trials` or `reports`."""
    if row.checkpoint_sha256 is None:
        return None
    return CheckpointReference(step=row.checkpoint_step, manifest_sha256=row.checkpoint_sha256)


def claim(  # noqa: PLR0913 -- who claims what
    connection: Connection,
    identity: str,
    sweep_id: str,
    *,
    holder: Holder,
    workers: int,
    retry: bool,
    afresh: bool,
    now: float,
) -> Attempt | None:
    """Start an attempt if the trial may run and nobody alive runs it.

    Raises:
        MissingError: If the sweep has no such trial.
    """
    member = connection.execute(
        sa.select(memberships, sweeps.c.storage)
        .join(sweeps, sweeps.c.sweep_id == memberships.c.sweep_id)
        .where(memberships.c.sweep_id == sweep_id, memberships.c.identity == identity)
        .order_by(memberships.c.position)
    ).first()
    if member is None:
        raise MissingError(f"sweep {sweep_id} has no trial {identity}")
    close_if_lost(connection, identity, now)
    trial = connection.execute(sa.select(trials).where(trials.c.identity == identity)).one()
    resume_from = None if afresh else checkpoint_of(trial)
    # A checkpoint is private to the store it lies in: whoever goes on from it uses that store.
    storage = member.storage if resume_from is None else trial.storage
    number = trial.attempts + 1
    moved = connection.execute(
        sa.update(trials)
        .where(
            trials.c.identity == identity,
            trials.c.state.in_(trial_states_before(TrialState.RUNNING, retry=retry)),
        )
        .values(
            state=TrialState.RUNNING.value,
            attempts=number,
            storage=storage,
            error_kind=None,
            error_message=None,
            changed=now,
            # Whoever starts afresh writes over the old checkpoints: nobody may go on from them.
            checkpoint_step=None if resume_from is None else resume_from.step,
            checkpoint_sha256=None if resume_from is None else resume_from.manifest_sha256,
        )
    )
    if moved.rowcount == 0:
        return None
    inserted = connection.execute(
        sa.insert(attempts).values(
            identity=identity,
            number=number,
            sweep_id=sweep_id,
            driver=holder.driver,
            workers=workers,
            state=TrialState.RUNNING.value,
            started=now,
            seconds=0.0,
            resumed_step=None if resume_from is None else resume_from.step,
        )
    )
    (attempt_id,) = inserted.inserted_primary_key or (None,)
    assert attempt_id is not None
    connection.execute(
        sa.update(trials).where(trials.c.identity == identity).values(attempt_id=attempt_id)
    )
    attempt = Attempt(
        attempt_id=attempt_id,
        identity=identity,
        sweep_id=sweep_id,
        number=number,
        arm=member.arm,
        seed=member.seed,
        workers=workers,
        config_json=member.config,
        resume_from=resume_from,
        fraction=trial.fraction,
        storage=storage,
    )
    journal.append(
        connection,
        "attempt_started",
        time=now,
        sweep_id=sweep_id,
        identity=identity,
        payload=attempt.started_by(holder),
    )
    return attempt


def record_report(
    connection: Connection, attempt_id: int, report: TrialReport, *, now: float
) -> None:
    """Write what a running attempt said.

    Raises:
        BusyError: If the attempt is no longer running: ended, or taken over.
    """
    attempt = running_attempt(connection, attempt_id)
    checkpoint: dict[str, Any] = {}
    if report.checkpoint is not None:
        checkpoint = {
            "checkpoint_step": report.checkpoint.step,
            "checkpoint_sha256": report.checkpoint.manifest_sha256,
        }
    reached: dict[str, Any] = {"step": report.step, "fraction": report.fraction}
    connection.execute(
        sa.update(attempts)
        .where(attempts.c.attempt_id == attempt_id)
        .values(seconds=report.seconds)
    )
    known = metrics_of(connection, attempt.identity)
    connection.execute(
        sa.update(trials)
        .where(trials.c.identity == attempt.identity)
        .values(metrics=known | report.metrics, changed=now, **reached, **checkpoint)
    )
    seq = journal.append(
        connection,
        "report",
        time=now,
        sweep_id=attempt.sweep_id,
        identity=attempt.identity,
        payload={
            "attempt": attempt_id,
            **reached,
            "seconds": report.seconds,
            "metrics": report.metrics,
            **checkpoint,
        },
    )
    connection.execute(
        sa.insert(reports).values(
            seq=seq,
            identity=attempt.identity,
            attempt_id=attempt_id,
            time=now,
            seconds=report.seconds,
            metrics=report.metrics,
            **reached,
            **checkpoint,
        )
    )


def move(
    connection: Connection,
    identity: str,
    target: TrialState,
    *,
    sweep_id: str | None,
    reason: str,
    now: float,
) -> bool:
    """Move a trial nobody runs (to `stopped_early` or `cancelled`); False if it may not."""
    if target not in (TrialState.STOPPED_EARLY, TrialState.CANCELLED):
        raise InputError(f"a trial nobody runs moves to stopped_early or cancelled, got {target}")
    close_if_lost(connection, identity, now)
    allowed = [state for state in trial_states_before(target) if state is not TrialState.RUNNING]
    moved = connection.execute(
        sa.update(trials)
        .where(trials.c.identity == identity, trials.c.state.in_(allowed))
        .values(state=target.value, changed=now)
    )
    if moved.rowcount == 0:
        return False
    journal.append(
        connection,
        "trial_moved",
        time=now,
        sweep_id=sweep_id,
        identity=identity,
        payload={"state": target.value, "reason": reason},
    )
    return True
