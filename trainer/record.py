"""What a trial writes of itself: `record.json` and `metrics.jsonl`, kept across its attempts."""

from __future__ import annotations

import json
import time

from pydantic import Field, ValidationError

from infra.errors import CorruptObjectError, MissingObjectError
from infra.frozen import Frozen
from infra.object_store import ObjectStore
from infra.provenance import Provenance
from trainer.config import TrainerConfig
from trainer.reporting import Answer, CheckpointReference, TrialOutcome, TrialReport, TrialReporter

MODEL_PAGE = "reward_model.json"
"""File of a model that is written last."""


class AttemptRecord(Frozen):
    """One try at a trial."""

    provenance: Provenance
    resumed_from: CheckpointReference | None = None
    seconds: float | None = None
    """Wall time; absent when it ended without a word."""
    outcome: TrialOutcome | None = None
    """Absent when it failed; its log says why."""


class TrialRecord(Frozen):
    """What a trial was, and how its attempts went."""

    version: int = 1
    identity: str
    config: TrainerConfig
    data_digests: dict[str, str]
    benchmark_digests: dict[str, str]
    backbone_digest: str | None
    attempts: list[AttemptRecord] = Field(default_factory=list)


def record_key(identity: str) -> str:
    """Where a trial's record lies in the object store."""
    return f"trials/{identity}/record.json"


def read_record(store: ObjectStore, identity: str) -> TrialRecord:
    """What a trial wrote of itself.

    Raises:
        StoreError: If it cannot be had.
        ValidationError: If it is no record.
    """
    return TrialRecord.model_validate_json(store.read(record_key(identity)))


def model_prefix(identity: str) -> str:
    """Where a trial's model lies in the object store."""
    return f"trials/{identity}/model/"


def model_page_key(identity: str) -> str:
    """Where the page lies without which a trial's model is none."""
    return f"{model_prefix(identity)}{MODEL_PAGE}"


def metrics_key(identity: str) -> str:
    """Where the reports of a trial lie, one JSON object per line."""
    return f"trials/{identity}/metrics.jsonl"


class RecordWriter:
    """Keeps `record.json` up to date: once when an attempt begins, once when it ends."""

    def __init__(self, store: ObjectStore, record: TrialRecord, attempt: AttemptRecord) -> None:
        self._store = store
        self._started = time.monotonic()
        self._attempt = attempt
        self._record = record.model_copy(
            update={"attempts": _earlier_attempts(store, record.identity)}
        )
        self._write(attempt)

    def end(self, outcome: TrialOutcome | None) -> None:
        """Say how the attempt ended."""
        seconds = time.monotonic() - self._started
        self._write(self._attempt.model_copy(update={"seconds": seconds, "outcome": outcome}))

    def _write(self, attempt: AttemptRecord) -> None:
        attempts = [*self._record.attempts, attempt]
        record = self._record.model_copy(update={"attempts": attempts})
        data = record.model_dump_json(indent=2) + "\n"
        self._store.write(record_key(record.identity), data.encode())


class MetricsWriter:
    """A reporter that also writes every report to `metrics.jsonl`."""

    def __init__(
        self, store: ObjectStore, identity: str, listener: TrialReporter, *, after: int
    ) -> None:
        self._store = store
        self._key = metrics_key(identity)
        self._listener = listener
        # Steps after the checkpoint will be done, and reported, once more.
        earlier = [report for report in _reports(store, identity) if report.step <= after]
        self._lines = [report.model_dump_json() for report in earlier]

    def report(self, report: TrialReport) -> Answer:
        """Write, then pass on."""
        self._lines.append(report.model_dump_json())
        self._store.write(self._key, ("\n".join(self._lines) + "\n").encode())
        return self._listener.report(report)


def left_checkpoints(store: ObjectStore, identity: str) -> tuple[CheckpointReference, ...]:
    """Checkpoints its reports told of whose files are not all gone, newest first.

    Raises:
        CorruptObjectError: If its reports cannot be read.
    """
    prefix = f"trials/{identity}/checkpoints/"
    folders = {key.removeprefix(prefix).partition("/")[0] for key in store.keys(prefix)}
    if not folders:
        return ()
    told = [each.checkpoint for each in _reports(store, identity) if each.checkpoint is not None]
    known = dict.fromkeys(reversed(told))
    return tuple(each for each in known if f"step-{each.step}" in folders)


def _reports(store: ObjectStore, identity: str) -> list[TrialReport]:
    key = metrics_key(identity)
    try:
        lines = store.read(key).splitlines()
        return [TrialReport.model_validate_json(line) for line in lines]
    except MissingObjectError:
        return []
    except ValidationError as error:
        raise CorruptObjectError(
            f"{key} in {store.uri} holds what no training reports; delete it, and what it tells of "
            f"an earlier attempt is forgotten: {error.errors()[0]['msg']}"
        ) from error


def _earlier_attempts(store: ObjectStore, identity: str) -> list[AttemptRecord]:
    try:
        data = store.read(record_key(identity))
    except MissingObjectError:
        return []
    attempts = json.loads(data)["attempts"]
    return [AttemptRecord.model_validate(attempt) for attempt in attempts]
