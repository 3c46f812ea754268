"""What may change in a sweep that is registered: its space grows, its budget moves, an arm stops.

What was trained and asked is never taken away: an extended sweep holds every trial it held before,
under the same identity. Every change is an event, so that decisions before and after it can be
told apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from infra.errors import InputError, MissingError
from infra.findings import hint
from sweep.records import attempting, journal, reading, registering
from sweep.records.lifecycle import TrialState
from sweep.records.log import Log
from sweep.records.rows import ArmRow, Json, TrialRow
from sweep.records.schema import arms as arms_table
from sweep.records.schema import memberships, sweeps


class Amendments(Log):
    """The part of the ledger that changes registered sweeps."""

    def move_trial(
        self, identity: str, state: TrialState, *, sweep_id: str | None = None, reason: str = ""
    ) -> bool:
        """Move a trial nobody runs to `stopped_early` or `cancelled`; False if it may not."""
        with self.database.writing() as connection:
            return attempting.move(
                connection, identity, state, sweep_id=sweep_id, reason=reason, now=self._clock()
            )

    def extend_sweep(
        self, sweep_id: str, spec_json: Json, *, arms: Sequence[ArmRow], trials: Sequence[TrialRow]
    ) -> int:
        """Give a sweep a larger space under the same id; how many trials are new.

        Args:
            sweep_id: Of a registered sweep.
            spec_json: What it asks for from now on.
            arms: All of them, old and new.
            trials: Likewise.

        Raises:
            InputError: If a trial it was asked for is missing, or one is now another training.
            MissingError: If there is no such sweep.
        """
        now = self._clock()
        with self.database.writing() as connection:
            registering.require_sweep(connection, sweep_id)
            _refuse_losses(connection, sweep_id, trials)
            registering.replace_spec(connection, sweep_id, spec_json, now=now)
            return registering.extend(connection, sweep_id, arms=arms, trials=trials, now=now)

    def set_budget(self, sweep_id: str, budget: Json) -> None:
        """Let a sweep spend more or less from now on; its driver learns of it at its next look.

        Raises:
            MissingError: If there is no such sweep.
        """
        now = self._clock()
        with self.database.writing() as connection:
            registering.require_sweep(connection, sweep_id)
            query = sa.select(sweeps.c.spec).where(sweeps.c.sweep_id == sweep_id)
            spec = connection.execute(query).scalar_one()
            registering.replace_spec(
                connection, sweep_id, {**spec, "budget": dict(budget)}, now=now
            )

    def request_arm_stop(self, sweep_id: str, arm: str) -> None:
        """Ask for an arm to be stopped: what runs of it checkpoints and ends, the rest never runs.

        Raises:
            MissingError: If there is no such sweep or arm; names the nearest.
        """
        now = self._clock()
        with self.database.writing() as connection:
            registering.require_sweep(connection, sweep_id)
            query = sa.select(arms_table.c.name).where(arms_table.c.sweep_id == sweep_id)
            names = connection.execute(query).scalars().all()
            if arm not in names:
                raise MissingError(f"sweep {sweep_id} has no arm '{arm}'{hint(arm, names)}")
            journal.append(
                connection, "arm_stop_requested", time=now, sweep_id=sweep_id, payload={"arm": arm}
            )


def _refuse_losses(connection: Connection, sweep_id: str, trials: Sequence[TrialRow]) -> None:
    query = sa.select(memberships.c.arm, memberships.c.seed, memberships.c.identity).where(
        memberships.c.sweep_id == sweep_id
    )
    kept = {(trial.arm, trial.seed) for trial in trials}
    missing = [row for row in connection.execute(query) if (row.arm, row.seed) not in kept]
    grown = _grown(connection, sweep_id) if missing else frozenset()
    lost = [f"{row.arm} seed {row.seed}" for row in missing if row.identity not in grown]
    if lost:
        shown = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if lost[3:] else "")
        raise InputError(
            f"sweep {sweep_id} holds {shown}, which the larger space no longer has; an extension "
            "only adds - to change a space, fork the sweep"
        )


def _grown(connection: Connection, sweep_id: str) -> frozenset[str]:
    """Trials a sweep gave itself while it ran; no file lists them, and they stay what they are."""
    return frozenset(
        trial["identity"]
        for row in reading.list_decisions(connection, sweep_id)
        for decision in row.payload.get("decisions", ())
        if decision["kind"] == "add_trials"
        for trial in decision["trials"]
    )
