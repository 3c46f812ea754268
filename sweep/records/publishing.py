"""One pass from the ledger's events to a tracker.

The cursor moves only after everything up to it was written, and whatever is written may be written
again: a tracker that is down loses nothing, and one that comes back shows nothing twice.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence

from pydantic import ValidationError

from infra.errors import InputError, MissingObjectError, StoreError
from infra.object_store import ObjectStore, open_store
from infra.tracking import Tracker
from sweep.records import projection
from sweep.records.describing import objective_name
from sweep.records.exhibits import Exhibits, publication_files
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import ArmRow, Event, Holder, Json, ReportView, SweepRow, TrialView
from trainer.record import TrialRecord, read_record

EVENTS_PER_BATCH = 500
ARMS_AT_ONCE = 100
"""Arms whose reports are read at once: all of a large sweep's would take the memory."""
LEASE_SECONDS = 120.0
_ENDS = frozenset({"attempt_finished", "attempt_lost", "trial_moved", "evaluation"})
_ASKED = frozenset({"sweep_registered", "budget_set"})
_log = logging.getLogger(__name__)


def cursor_name(tracker_uri: str, sweep_id: str) -> str:
    """Name of the cursor that says what a tracker has been told of a sweep."""
    return f"tracker:{hashlib.sha256(tracker_uri.encode()).hexdigest()[:16]}:{sweep_id}"


def is_caught_up(ledger: Ledger, tracker_uri: str, sweep_id: str) -> bool:
    """Whether the tracker has been told everything the ledger knows of the sweep now."""
    after = ledger.cursor(cursor_name(tracker_uri, sweep_id))
    return not ledger.events(after, 1, sweep_id=sweep_id)


def publish(ledger: Ledger, tracker: Tracker, sweep_id: str) -> int:
    """Tell the tracker what it does not know yet; how many events that were.

    None when another process is publishing this sweep there right now: it tells them.

    Raises:
        StoreError: If the tracker or the ledger fails; what was not told is told next time.
    """
    return SweepPublishing(ledger, tracker, sweep_id).publish()


class SweepPublishing:
    """Passes over one sweep by one process; they may be many, and others may come in between."""

    def __init__(self, ledger: Ledger, tracker: Tracker, sweep_id: str) -> None:
        self._ledger = ledger
        self._tracker = tracker
        self._sweep_id = sweep_id
        self._name = cursor_name(tracker.uri, sweep_id)
        self._holder = Holder.here()
        self._left_at: int | None = None
        """The cursor as the last pass left it; elsewhere now if another process has published."""

    def publish(self) -> int:
        """One pass, as the function `publish`."""
        if not self._events():
            return 0
        if not self._ledger.take_lease(self._name, self._holder, LEASE_SECONDS):
            return 0
        try:
            return self._tell()
        except BaseException:
            self._left_at = None
            raise
        finally:
            self._ledger.give_back_lease(self._name, self._holder)

    def _tell(self) -> int:
        if self._left_at is None or self._left_at != self._ledger.cursor(self._name):
            self._tracker.preload(self._sweep_id)
        told = 0
        while events := self._events():
            _Batch(self._ledger, self._tracker, self._sweep_id, events).write()
            self._left_at = events[-1].seq
            self._ledger.set_cursor(self._name, self._left_at)
            self._ledger.take_lease(self._name, self._holder, LEASE_SECONDS)
            told += len(events)
            if len(events) < EVENTS_PER_BATCH:
                break  # what came meanwhile waits: a quick driver would keep this pass going on
        return told

    def _events(self) -> list[Event]:
        after = self._ledger.cursor(self._name)
        return self._ledger.events(after, EVENTS_PER_BATCH, sweep_id=self._sweep_id)


class _Batch:
    """What some events changed, written as it stands in the ledger now."""

    def __init__(
        self, ledger: Ledger, tracker: Tracker, sweep_id: str, events: Sequence[Event]
    ) -> None:
        self._ledger = ledger
        self._tracker = tracker
        self._events = events
        self._sweep: SweepRow = ledger.sweep(sweep_id)
        self._trials: dict[str, TrialView] = {}
        self._arms: dict[str, ArmRow] = {arm.name: arm for arm in ledger.arms(sweep_id)}
        self._members: dict[str, list[TrialView]] = {}
        for trial in ledger.trials(sweep_id):
            self._trials.setdefault(trial.identity, trial)
            self._members.setdefault(trial.arm, []).append(trial)
        self._exhibits = Exhibits(ledger, tracker, self._sweep, self._arms, self._members)

    def write(self) -> None:
        """Write all of it; what the tracker refuses for good is left out with a warning."""
        parent = self._tracker.ensure_run(projection.sweep_facts(self._sweep))
        joined = self._joined()
        touched = self._touched() | joined
        shown = [self._trials[identity] for identity in sorted(touched)]
        shown = [trial for trial in shown if trial.attempts > 0]
        said = self._ledger.reports((trial.identity for trial in shown), as_said=True)
        starts = {
            attempt.identity: attempt.started
            for attempt in reversed(self._ledger.attempts(trial.identity for trial in shown))
        }
        for name in self._touched_arms(shown):
            self._tracker.ensure_run(projection.arm_facts(self._sweep, self._arms[name]))
        for trial in shown:
            try:
                self._write_trial(
                    trial,
                    said.get(trial.identity, []),
                    started=starts[trial.identity],
                    joined=trial.identity in joined,
                )
            except InputError as error:
                _log.warning("left out of the tracker: %s", error)
        self._write_arms(self._touched_arms(shown))
        self._write_sweep(parent)
        for event in self._events:
            if event.kind == "publication":
                self._write_publication(parent, event.payload)
        if any(event.kind in _ASKED for event in self._events):
            self._exhibits.attach_spec(parent)
        self._exhibits.describe_sweep(parent)
        self._exhibits.register_best()

    def _touched(self) -> set[str]:
        return {
            event.identity
            for event in self._events
            if event.identity is not None and event.identity in self._trials
        }

    def _joined(self) -> set[str]:
        """Trials these events added, which may have run before for another sweep."""
        return {
            identity
            for event in self._events
            if event.kind == "trials_added" and event.sweep_id == self._sweep.sweep_id
            for identity, _arm, _seed in event.payload["trials"]
        }

    def _touched_arms(self, shown: Iterable[TrialView]) -> list[str]:
        if any(event.kind == "sweep_state" for event in self._events):
            return [
                name
                for name, members in self._members.items()
                if any(member.attempts > 0 for member in members)
            ]
        return list(dict.fromkeys(trial.arm for trial in shown))

    def _write_trial(
        self, trial: TrialView, said: Sequence[ReportView], *, started: float, joined: bool
    ) -> None:
        arm = self._arms[trial.arm]
        facts = projection.trial_facts(self._sweep, arm, trial, started=started)
        run = self._tracker.ensure_run(facts)
        mine = [event for event in self._events if event.identity == trial.identity]
        first = 0 if joined else self._events[0].seq
        points = projection.report_points(said, range(first, self._events[-1].seq + 1))
        tags = projection.trial_tags(trial)
        if joined or any(event.kind in _ENDS for event in mine):
            points += projection.final_points(trial, said)
            record = _record_of(trial)
            tags |= self._from_record(run, trial, record)
            self._exhibits.attach_to_trial(run, trial, record)
        self._tracker.log_metrics(run, points)
        self._tracker.set_tags(run, tags)
        status = projection.trial_status(trial)
        ended = trial.changed if status in projection.OVER else None
        self._tracker.set_status(run, status, ended)

    def _from_record(
        self, run: str, trial: TrialView, record: TrialRecord | None
    ) -> dict[str, str]:
        """Datasets become inputs of the run; the tags that say where the trial comes from."""
        if record is None:
            return {}
        for name, digest in record.data_digests.items():
            self._tracker.log_dataset(run, name, digest, "training")
        if trial.state is TrialState.SUCCEEDED:
            for name, digest in record.benchmark_digests.items():
                self._tracker.log_dataset(run, name, digest, "evaluation")
        if not record.attempts:
            return {}
        return projection.provenance_tags(record.attempts[-1].provenance)

    def _write_arms(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), ARMS_AT_ONCE):
            part = {name: self._members[name] for name in names[start : start + ARMS_AT_ONCE]}
            over = [
                member.identity
                for members in part.values()
                if projection.arm_status(members, self._sweep) in projection.OVER
                for member in members
            ]
            said = self._ledger.reports(over)
            for name in part:
                self._write_arm(name, said)

    def _write_arm(self, name: str, said: Mapping[str, list[ReportView]]) -> None:
        members = self._members[name]
        run = self._tracker.ensure_run(projection.arm_facts(self._sweep, self._arms[name]))
        points = projection.arm_points(members, objective_name(self._sweep))
        status = projection.arm_status(members, self._sweep)
        if status in projection.OVER:
            points += projection.arm_curves(members, said)
        if points:
            self._tracker.log_metrics(run, points)
        ended = max(member.changed for member in members) if status in projection.OVER else None
        self._tracker.set_status(run, status, ended)

    def _write_sweep(self, run: str) -> None:
        trials = [trial for members in self._members.values() for trial in members]
        spent = self._ledger.spent(self._sweep.sweep_id)
        points = projection.sweep_points(trials, spent, time=self._events[-1].time)
        self._tracker.log_metrics(run, points)
        self._tracker.set_tags(run, projection.sweep_state_tags(self._sweep))
        self._tracker.set_status(run, projection.sweep_status(self._sweep), self._sweep.ended)

    def _write_publication(self, run: str, payload: Json) -> None:
        kind, content = str(payload["kind"]), payload["publication"]
        for name, key in publication_files(content).items():
            store: ObjectStore = open_store(content.get("store") or self._sweep.storage)
            try:
                self._tracker.log_artifact(run, f"{kind}/{name}", store.read(key))
            except (MissingObjectError, InputError) as error:
                _log.warning("left out of the tracker: %s", error)
        self._exhibits.tag_arms(content)
        if "headline" in content:
            label = f"sweep.{kind}.{content.get('name', kind)}"
            self._tracker.set_tags(run, {label: str(content["headline"])})


def _record_of(trial: TrialView) -> TrialRecord | None:
    if trial.storage is None:
        return None
    try:
        return read_record(open_store(trial.storage), trial.identity)
    except (StoreError, InputError, ValidationError) as error:
        _log.info("no record of trial %s to be had: %s", trial.identity[:12], error)
        return None
