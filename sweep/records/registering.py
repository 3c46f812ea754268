"""Sweeps, their arms and their trials as they were asked for.

Registering is idempotent. What is trained and asked never changes: a sweep may get further trials,
but a trial that was planned as one identity is never silently turned into another. What it may
spend, its machines, its words and where it is shown may change; the ledger keeps the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from infra.errors import InputError, MissingError
from infra.settings import masked
from sweep.records import journal
from sweep.records.content import content_digest, refuse_passwords
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState, TrialState
from sweep.records.rows import ArmRow, Json, TrialRow
from sweep.records.schema import arms as arms_table
from sweep.records.schema import attempts as attempts_table
from sweep.records.schema import memberships, sweeps
from sweep.records.schema import trials as trials_table


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSweep:
    """A sweep to be registered."""

    sweep_id: str
    name: str
    spec_json: Json
    tracking_uri: str
    storage: str
    created: float


def register(
    connection: Connection, sweep: NewSweep, *, arms: Sequence[ArmRow], trials: Sequence[TrialRow]
) -> bool:
    """Write a sweep with its arms and trials; False when all of it was there already.

    Raises:
        InputError: If the id is taken by a sweep with another spec, store or trials, or the spec
            holds a password.
    """
    refuse_passwords(sweep.spec_json)
    found = connection.execute(sa.select(sweeps).where(sweeps.c.sweep_id == sweep.sweep_id)).first()
    if found is not None:
        _refuse_other_content(connection, sweep, found)
        connection.execute(
            sa.update(sweeps)
            .where(sweeps.c.sweep_id == sweep.sweep_id)
            .values(tracking_uri=masked(sweep.tracking_uri), storage=sweep.storage)
        )
        replace_spec(connection, sweep.sweep_id, sweep.spec_json, now=sweep.created)
        if found.spec != sweep.spec_json:
            _replace_machines(connection, sweep.sweep_id, trials)
        return extend(connection, sweep.sweep_id, arms=arms, trials=trials, now=sweep.created) > 0
    connection.execute(
        sa.insert(sweeps).values(
            sweep_id=sweep.sweep_id,
            name=sweep.name,
            state=SweepState.PENDING.value,
            reason="",
            spec=dict(sweep.spec_json),
            spec_digest=content_digest(sweep.spec_json),
            tracking_uri=masked(sweep.tracking_uri),
            storage=sweep.storage,
            created=sweep.created,
        )
    )
    journal.append(
        connection,
        "sweep_registered",
        time=sweep.created,
        sweep_id=sweep.sweep_id,
        payload={
            "name": sweep.name,
            "arms": len(arms),
            "trials": len(trials),
            "budget": sweep.spec_json.get("budget", {}),
        },
    )
    extend(connection, sweep.sweep_id, arms=arms, trials=trials, now=sweep.created)
    return True


def replace_spec(connection: Connection, sweep_id: str, spec_json: Json, *, now: float) -> None:
    """Keep another spec for a sweep; a budget that changes is an event of its own.

    Raises:
        InputError: If it holds a password.
    """
    refuse_passwords(spec_json)
    query = sa.select(sweeps.c.spec).where(sweeps.c.sweep_id == sweep_id)
    before = connection.execute(query).scalar_one()
    connection.execute(
        sa.update(sweeps)
        .where(sweeps.c.sweep_id == sweep_id)
        .values(spec=dict(spec_json), spec_digest=content_digest(spec_json))
    )
    budget = spec_json.get("budget", {})
    if budget != before.get("budget", {}):
        payload = {"budget": dict(budget)}
        journal.append(connection, "budget_set", time=now, sweep_id=sweep_id, payload=payload)


def extend(
    connection: Connection,
    sweep_id: str,
    *,
    arms: Sequence[ArmRow],
    trials: Sequence[TrialRow],
    now: float,
) -> int:
    """Add the arms and trials the sweep does not have yet; how many trials were new.

    Raises:
        InputError: If a trial is there under another identity.
    """
    known = {
        (row.arm, row.seed): row.identity
        for row in connection.execute(
            sa.select(memberships.c.arm, memberships.c.seed, memberships.c.identity).where(
                memberships.c.sweep_id == sweep_id
            )
        )
    }
    _refuse_other_identities(sweep_id, known, trials)
    _add_arms(connection, sweep_id, arms)
    new = [trial for trial in trials if (trial.arm, trial.seed) not in known]
    if not new:
        return 0
    _insert_missing_trials(connection, new, now)
    connection.execute(
        sa.insert(memberships),
        [
            {
                "sweep_id": sweep_id,
                "arm": trial.arm,
                "seed": trial.seed,
                "identity": trial.identity,
                "config": dict(trial.config_json),
                "workers": trial.workers,
                "position": len(known) + index,
            }
            for index, trial in enumerate(new)
        ],
    )
    payload: dict[str, Any] = {"trials": [[trial.identity, trial.arm, trial.seed] for trial in new]}
    if known:  # who reads a sweep from its start hears of everything else by its own event
        payload["standings"] = _standings(connection, sweep_id, after=len(known))
    journal.append(connection, "trials_added", time=now, sweep_id=sweep_id, payload=payload)
    return len(new)


def _standings(connection: Connection, sweep_id: str, *, after: int) -> dict[str, Any]:
    """How those of the trials from a position on stand that other sweeps have begun."""
    # Not by a list of identities: PostgreSQL takes 65,535 parameters, a plan 100,000 trials.
    query = (
        sa.select(trials_table, attempts_table.c.driver)
        .join(memberships, memberships.c.identity == trials_table.c.identity)
        .outerjoin(attempts_table, attempts_table.c.attempt_id == trials_table.c.attempt_id)
        .where(
            memberships.c.sweep_id == sweep_id,
            memberships.c.position >= after,
            trials_table.c.state != TrialState.PENDING.value,
        )
    )
    return {
        row.identity: {
            "state": row.state,
            "step": row.step,
            "fraction": row.fraction,
            "metrics": row.metrics,
            "resumable": row.checkpoint_sha256 is not None,
            "driver": row.driver if row.state == TrialState.RUNNING.value else None,
        }
        for row in connection.execute(query)
    }


def require_sweep(connection: Connection, sweep_id: str) -> SweepState:
    """The sweep's state. Raises `MissingError` when there is no such sweep."""
    query = sa.select(sweeps.c.state).where(sweeps.c.sweep_id == sweep_id)
    state = connection.execute(query).scalar()
    if state is None:
        raise MissingError(f"the ledger has no sweep {sweep_id!r}")
    return SweepState(state)


def _refuse_other_content(connection: Connection, sweep: NewSweep, known: sa.Row[Any]) -> None:
    if content_digest(sweep.spec_json) != content_digest(known.spec):
        raise InputError(
            f"sweep {sweep.sweep_id} is registered with another sweep file; give this one "
            "another name"
        )
    if sweep.storage != known.storage and _may_have_files(connection, known):
        raise InputError(
            f"sweep {sweep.sweep_id} keeps its files in {known.storage}, now {sweep.storage} is "
            "asked for; set RMSWEEP_STORAGE (or `storage` in the file) back, or rename the sweep"
        )


def _may_have_files(connection: Connection, sweep: sa.Row[Any]) -> bool:
    """Whether a driver has it or had it begin; a store that was refused can be corrected before."""
    begun = sa.select(attempts_table.c.attempt_id).where(
        attempts_table.c.sweep_id == sweep.sweep_id
    )
    held = sweep.driver is not None or sweep.state in ENDED_SWEEP_STATES
    return held or connection.execute(begun.limit(1)).first() is not None


def _refuse_other_identities(
    sweep_id: str, known: dict[tuple[str, int], str], trials: Iterable[TrialRow]
) -> None:
    changed = [
        f"{trial.arm} seed {trial.seed} ({known[key][:12]}, now {trial.identity[:12]})"
        for trial in trials
        if (key := (trial.arm, trial.seed)) in known and known[key] != trial.identity
    ]
    if changed:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if changed[3:] else "")
        raise InputError(
            f"sweep {sweep_id} was registered with other trainings for {shown}: the data, the "
            "backbone or the trainer's version has changed since; restore them, or rename the "
            "sweep"
        )


def _replace_machines(connection: Connection, sweep_id: str, trials: Sequence[TrialRow]) -> None:
    """Lay out trials that are not done as they are asked for now; their identities stay."""
    succeeded = trials_table.c.state == TrialState.SUCCEEDED.value
    query = (
        sa.select(memberships.c.identity)
        .join(trials_table, trials_table.c.identity == memberships.c.identity)
        .where(memberships.c.sweep_id == sweep_id, succeeded)
    )
    done = set(connection.execute(query).scalars())
    # By the whole key: else SQLite goes through all trials for each (24 s at 6,000, 2 s so).
    laid_out = (
        sa.update(memberships)
        .where(
            memberships.c.sweep_id == sweep_id,
            memberships.c.arm == sa.bindparam("of_arm"),
            memberships.c.seed == sa.bindparam("with_seed"),
        )
        .values(config=sa.bindparam("as_config"), workers=sa.bindparam("by_workers"))
    )
    rows = [
        {"of_arm": trial.arm, "with_seed": trial.seed}
        | {"as_config": dict(trial.config_json), "by_workers": trial.workers}
        for trial in trials
        if trial.identity not in done
    ]
    if rows:
        connection.execute(laid_out, rows)


def _add_arms(connection: Connection, sweep_id: str, arms: Sequence[ArmRow]) -> None:
    there = set(
        connection.execute(
            sa.select(arms_table.c.name).where(arms_table.c.sweep_id == sweep_id)
        ).scalars()
    )
    rows = [
        {
            "sweep_id": sweep_id,
            "name": arm.name,
            "axis": arm.axis,
            "level": arm.level,
            "point": dict(arm.point),
            "position": len(there) + index,
        }
        for index, arm in enumerate(arm for arm in arms if arm.name not in there)
    ]
    if rows:
        connection.execute(sa.insert(arms_table), rows)


def _insert_missing_trials(connection: Connection, new: Sequence[TrialRow], now: float) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows: list[dict[str, Any]] = [
        {
            "identity": identity,
            "state": TrialState.PENDING.value,
            "attempts": 0,
            "step": 0,
            "fraction": 0.0,
            "metrics": {},
            "changed": now,
        }
        for identity in dict.fromkeys(trial.identity for trial in new)
    ]
    connection.execute(dialect.insert(trials_table).on_conflict_do_nothing(), rows)
