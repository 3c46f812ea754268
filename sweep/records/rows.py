"""What goes into the ledger and what comes out: plain values, no database behind them."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.liveness import machine_key, process_start
from trainer.reporting import CheckpointReference

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A driver: the process that executes a sweep."""

    driver: str
    """Unique per process start."""
    pid: int
    host: str
    machine: str = ""
    """Where `pid` means something; empty when only the heartbeat may tell whether it lives."""
    process_started: float = 0.0
    """Tells the process from a later one with the same pid; unit of `liveness.process_start`."""

    @classmethod
    def here(cls) -> Holder:
        """A holder for this very process."""
        return cls(
            driver=uuid.uuid4().hex,
            pid=os.getpid(),
            host=socket.gethostname(),
            machine=machine_key(),
            process_started=process_start(os.getpid()) or 0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """One arm of a sweep as registered."""

    name: str
    axis: str | None = None
    level: str | None = None
    point: Mapping[str, str] = field(default_factory=dict)
    """Level of every axis, by axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial of a sweep as registered."""

    identity: str
    arm: str
    seed: int
    config_json: Json
    """The trainer config as this sweep asked for it, with its benchmarks and machine settings."""
    workers: float = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRow:
    """One sweep as the ledger knows it."""

    sweep_id: str
    name: str
    state: SweepState
    reason: str
    spec_json: Json
    tracking_uri: str
    """Without password."""
    storage: str
    created: float
    ended: float | None
    stop_requested: bool
    driver: str | None
    """The driver that holds the sweep, alive or not; see `live`."""
    live: bool
    """Whether a living driver holds the sweep."""
    trials: int
    succeeded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialView:
    """One trial as one sweep sees it."""

    identity: str
    arm: str
    seed: int
    state: TrialState
    workers: float
    config_json: Json
    attempts: int
    """Attempts so far, whoever paid for them."""
    step: int
    fraction: float
    metrics: Mapping[str, float]
    """Last value of every metric; evaluations made later are included."""
    device_seconds: float
    """Devices times seconds of all attempts, whoever paid for them."""
    paid_device_seconds: float
    """The part this sweep paid for."""
    error_kind: str | None
    error_message: str | None
    checkpoint: CheckpointReference | None
    model_digest: str | None
    storage: str | None
    """Store that holds the trial's files; absent before its first attempt."""
    reused: bool
    """Succeeded without an attempt of this sweep."""
    live: bool
    """Running under a living driver; a `running` trial that is not live may be claimed."""
    changed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrial:
    """One trial that a living driver runs, as one sweep sees it."""

    identity: str
    arm: str
    seed: int
    workers: float
    attempts: int
    """With this one."""
    fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The right to execute a trial once, as `claim` grants it."""

    attempt_id: int
    identity: str
    sweep_id: str
    number: int
    """From 1, over all sweeps."""
    arm: str
    seed: int
    workers: float
    config_json: Json
    resume_from: CheckpointReference | None
    fraction: float
    """What the trial had reached when it was claimed."""
    storage: str
    earlier: tuple[CheckpointReference, ...] = ()
    """Checkpoints of the same training before that one, newest first: to fall back on."""

    @property
    def checkpoints(self) -> tuple[CheckpointReference, ...]:
        """All that may be gone on from, newest first; none to train from the beginning."""
        return () if self.resume_from is None else (self.resume_from, *self.earlier)

    def started_by(self, holder: Holder) -> dict[str, Any]:
        """What the event `attempt_started` says of it."""
        return {
            "attempt": self.attempt_id,
            "number": self.number,
            "arm": self.arm,
            "seed": self.seed,
            "workers": self.workers,
            "driver": holder.driver,
            "host": holder.host,
            "resumed_step": None if self.resume_from is None else self.resume_from.step,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt as it went."""

    attempt_id: int
    identity: str
    number: int
    sweep_id: str
    driver: str
    host: str
    workers: float
    state: str
    """A `TrialState`, or `lost` when its driver died."""
    started: float
    ended: float | None
    seconds: float
    device_seconds: float | None
    resumed_step: int | None
    error_kind: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """What a trial had reached at a step."""

    identity: str
    attempt_id: int
    time: float
    step: int
    fraction: float
    seconds: float
    metrics: Mapping[str, float]
    checkpoint: CheckpointReference | None
    seq: int = 0
    """Of the event that told it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the log that every write appends to."""

    seq: int
    time: float
    kind: str
    sweep_id: str | None
    identity: str | None
    payload: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One decision of the engine, in the order they were taken."""

    seq: int
    time: float
    kind: str
    payload: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """One model's metrics on one benchmark."""

    identity: str
    benchmark: str
    evaluation_identity: str
    time: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRow:
    """Something to be shown with a sweep: a report, an ensemble."""

    seq: int
    sweep_id: str
    time: float
    kind: str
    payload: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a sweep has used up; running attempts and a living driver count up to now."""

    device_seconds: float
    wall_seconds: float
    """Time any driver held the sweep."""
    attempts: int
    failures: int
    """Failed attempts; attempts lost with their driver are not among them."""
    trials_started: int
