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
from sweep.records.ending import ATTEMPT_IS, TRIAL_IS, close_if_lost, running_attempt
from sweep.records.lifecycle import (
    TrialState,
    trial_states_before,
)
from sweep.records.rows import Attempt, Holder
from sweep.records.schema import attempts, memberships, reports, sweeps, trials
from trainer.reporting import CheckpointReference, TrialReport

FALLBACKS = 3
"""Checkpoints that are named beside the newest one; a trial keeps one, a pruned store may more."""

# Made once: putting a statement together takes longer than SQLite takes to execute it.
_MEMBERS = (
    sa.select(memberships.c.arm, memberships.c.seed, memberships.c.config, trials)
    .add_columns(memberships.c.sweep_id, memberships.c.position)
    .add_columns(sweeps.c.storage.label("own_storage"))
    .join(sweeps, sweeps.c.sweep_id == memberships.c.sweep_id)
    .join(trials, trials.c.identity == memberships.c.identity)
    .where(memberships.c.identity == sa.bindparam("wanted"))
)
_STARTED = sa.insert(attempts).values(state=TrialState.RUNNING.value, seconds=0.0)
_CLAIMED = {
    retry: TRIAL_IS.where(
        trials.c.state.in_(trial_states_before(TrialState.RUNNING, retry=retry))
    ).values(state=TrialState.RUNNING.value, error_kind=None, error_message=None)
    for retry in (False, True)
}
_SAID = sa.insert(reports)


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
    workers: float,
    retry: bool,
    afresh: bool,
    now: float,
) -> Attempt | None:
    """Start an attempt if the trial may run and nobody alive runs it.

    Raises:
        MissingError: If the sweep has no such trial.
    """
    member = _member(connection, sweep_id, identity)
    if member is None:
        raise MissingError(f"sweep {sweep_id} has no trial {identity}")
    if member.state == TrialState.RUNNING.value:
        close_if_lost(connection, identity, now)
        member = _member(connection, sweep_id, identity)
        assert member is not None
    allowed = trial_states_before(TrialState.RUNNING, retry=retry)
    if member.state not in allowed:
        return None
    resume_from = None if afresh else checkpoint_of(member)
    # A checkpoint is private to the store it lies in: whoever goes on from it uses that store.
    storage = member.own_storage if resume_from is None else member.storage
    number = member.attempts + 1
    # Whoever starts afresh writes over the old checkpoints: nobody may go on from them.
    step = None if resume_from is None else resume_from.step
    digest = None if resume_from is None else resume_from.manifest_sha256
    started = {"identity": identity, "number": number, "sweep_id": sweep_id, "resumed_step": step}
    inserted = connection.execute(
        _STARTED, started | {"driver": holder.driver, "workers": workers, "started": now}
    )
    (attempt_id,) = inserted.inserted_primary_key or (None,)
    assert attempt_id is not None
    moved = connection.execute(
        _CLAIMED[retry],
        {
            "which": identity, "attempts": number, "attempt_id": attempt_id, "storage": storage,
            "changed": now, "checkpoint_step": step, "checkpoint_sha256": digest,
        },
    )  # fmt: skip
    assert moved.rowcount == 1  # nobody writes between reading the state and here
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
        fraction=member.fraction,
        storage=storage,
        earlier=() if resume_from is None else _earlier(connection, identity, resume_from),
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


def _member(connection: Connection, sweep_id: str, identity: str) -> Row[Any] | None:
    """A trial as the sweep has it, first in its plan; None when it has none such.

    Asked by identity alone: by sweep as well, and in the plan's order, SQLite goes through all
    trials of the sweep, which took half of a driver's time at 1,500 trials.
    """
    rows = [
        row
        for row in connection.execute(_MEMBERS, {"wanted": identity})
        if row.sweep_id == sweep_id
    ]
    return min(rows, key=lambda row: row.position, default=None)


def _earlier(
    connection: Connection, identity: str, newest: CheckpointReference
) -> tuple[CheckpointReference, ...]:
    """Checkpoints told of before the newest one, since the trial was last begun afresh."""
    afresh = (
        sa.select(sa.func.max(attempts.c.attempt_id))
        .where(attempts.c.identity == identity, attempts.c.resumed_step.is_(None))
        .scalar_subquery()
    )
    told = connection.execute(
        sa.select(reports)
        .where(
            reports.c.identity == identity,
            reports.c.attempt_id >= afresh,
            reports.c.checkpoint_step < newest.step,
        )
        .order_by(reports.c.seq.desc())
    )
    # Of a step that was trained twice, the files are those of the second time.
    by_step: dict[int, CheckpointReference] = {}
    for row in told:
        reference = checkpoint_of(row)
        if reference is not None:
            by_step.setdefault(reference.step, reference)
    return tuple(by_step[step] for step in sorted(by_step, reverse=True)[:FALLBACKS])


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
    connection.execute(ATTEMPT_IS, {"seconds": report.seconds, "which": attempt_id})
    stands = {"metrics": attempt.known | report.metrics, "changed": now, "which": attempt.identity}
    connection.execute(TRIAL_IS, stands | reached | checkpoint)
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
    said = {"seq": seq, "identity": attempt.identity, "attempt_id": attempt_id, "time": now}
    said |= {"seconds": report.seconds, "metrics": report.metrics}
    connection.execute(_SAID, said | reached | checkpoint)


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
