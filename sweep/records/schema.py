"""Tables of the ledger.

A trial exists once per identity (primary key); membership in sweeps is its own table. Every write
appends to `events`, whose `seq` has no gaps and grows in commit order, so that a reader that
remembers the last `seq` it saw misses nothing. Times are seconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from sweep.records.lifecycle import LOST, SweepState, TrialState

SCHEMA_VERSION = 1
"""Raised with every change an older version could not live with; a further table is none."""

metadata = MetaData()


def _state_check(states: list[str], name: str) -> CheckConstraint:
    listed = ", ".join(f"'{state}'" for state in states)
    return CheckConstraint(f"state IN ({listed})", name=name)


meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

holders = Table(
    "holders",
    metadata,
    Column("driver", String(128), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", String(255), nullable=False),
    Column("machine", String(255), nullable=False),
    Column("process_started", Float, nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("expires", Float, nullable=False),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("sweep_id", String(128), primary_key=True),
    Column("name", String(64), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("spec_digest", String(64), nullable=False),
    Column("tracking_uri", Text, nullable=False),
    Column("storage", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("ended", Float),
    Column("stop_requested", Float),
    Column("driver", ForeignKey("holders.driver")),
    _state_check([state.value for state in SweepState], "sweep_state"),
)

holds = Table(
    "holds",
    metadata,
    Column("hold_id", Integer, primary_key=True),
    Column("sweep_id", ForeignKey("sweeps.sweep_id"), nullable=False, index=True),
    Column("driver", ForeignKey("holders.driver"), nullable=False, index=True),
    Column("acquired", Float, nullable=False),
    Column("released", Float),
    Column("taken_by", String(128)),
)

arms = Table(
    "arms",
    metadata,
    Column("sweep_id", ForeignKey("sweeps.sweep_id"), primary_key=True),
    Column("name", String(512), primary_key=True),
    Column("axis", Text),
    Column("level", Text),
    Column("point", JSON, nullable=False),
    Column("position", Integer, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("identity", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("attempt_id", Integer),
    Column("attempts", Integer, nullable=False),
    Column("storage", Text),
    Column("step", Integer, nullable=False),
    Column("fraction", Float, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("checkpoint_step", Integer),
    Column("checkpoint_sha256", String(64)),
    Column("model_digest", String(64)),
    Column("error_kind", String(32)),
    Column("error_message", Text),
    Column("changed", Float, nullable=False),
    _state_check([state.value for state in TrialState], "trial_state"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("sweep_id", ForeignKey("sweeps.sweep_id"), primary_key=True),
    Column("arm", String(512), primary_key=True),
    Column("seed", Integer, primary_key=True),
    Column("identity", ForeignKey("trials.identity"), nullable=False, index=True),
    Column("config", JSON, nullable=False),
    Column("workers", Float, nullable=False),
    Column("position", Integer, nullable=False),
    UniqueConstraint("sweep_id", "position", name="membership_position"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", Integer, primary_key=True),
    Column("identity", ForeignKey("trials.identity"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("sweep_id", ForeignKey("sweeps.sweep_id"), nullable=False, index=True),
    Column("driver", ForeignKey("holders.driver"), nullable=False),
    Column("workers", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("seconds", Float, nullable=False),
    Column("device_seconds", Float),
    Column("resumed_step", Integer),
    Column("error_kind", String(32)),
    Column("error_message", Text),
    UniqueConstraint("identity", "number", name="attempt_number"),
    _state_check(
        [TrialState.RUNNING.value, LOST]
        + [state.value for state in TrialState if state not in ("pending", "running")],
        "attempt_state",
    ),
)

Index(
    "one_running_attempt",
    attempts.c.identity,
    unique=True,
    sqlite_where=attempts.c.state == "running",
    postgresql_where=attempts.c.state == "running",
)

reports = Table(
    "reports",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("identity", ForeignKey("trials.identity"), nullable=False, index=True),
    Column("attempt_id", ForeignKey("attempts.attempt_id"), nullable=False),
    Column("time", Float, nullable=False),
    Column("step", Integer, nullable=False),
    Column("fraction", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("checkpoint_step", Integer),
    Column("checkpoint_sha256", String(64)),
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("sweep_id", ForeignKey("sweeps.sweep_id"), nullable=False, index=True),
    Column("time", Float, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("payload", JSON, nullable=False),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("identity", ForeignKey("trials.identity"), primary_key=True),
    Column("evaluation_identity", String(64), primary_key=True),
    Column("benchmark", String(255), nullable=False),
    Column("time", Float, nullable=False),
    Column("metrics", JSON, nullable=False),
)

publications = Table(
    "publications",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("sweep_id", ForeignKey("sweeps.sweep_id"), nullable=False, index=True),
    Column("time", Float, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("payload", JSON, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("time", Float, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("sweep_id", String(128), index=True),
    Column("identity", String(64), index=True),
    Column("payload", JSON, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(512), primary_key=True),
    Column("seq", Integer, nullable=False),
)

demands = Table(
    "demands",
    metadata,
    Column("sweep_id", ForeignKey("sweeps.sweep_id"), primary_key=True),
    Column("cluster", String(128), nullable=False, index=True),
    Column("driver", String(128), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("since", Float, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("unit", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("expires", Float, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(512), primary_key=True),
    Column("driver", String(128), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("machine", String(255), nullable=False),
    Column("process_started", Float, nullable=False),
    Column("expires", Float, nullable=False),
)
