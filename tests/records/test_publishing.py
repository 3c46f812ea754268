"""From the ledger to a real MLflow database, and to a server that is not there."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from infra.object_store import LocalStore
from infra.settings import load_settings
from infra.tracking import NullTracker, RunFacts, Tracker
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.publisher import Publisher, tracker_opener
from sweep.records.publishing import SweepPublishing, cursor_name, is_caught_up, publish
from sweep.records.rows import Holder
from sweep.replay.working import SimulatedClock
from tests.records.head_sweep import SWEEP, folder_of, history, register_head, run_trial, runs
from tests.records.rows import TTL, checkpoint, identity_of, report, stranger

pytest.importorskip("mlflow")


def test_a_sweep_becomes_a_tree_of_runs_with_what_one_filters_by(
    ledger: Ledger, tracker: Tracker, store: LocalStore
) -> None:
    register_head(ledger, store)
    ledger.acquire_sweep(SWEEP, stranger(), TTL)
    ledger.set_sweep_state(SWEEP, SweepState.RUNNING)
    run_trial(ledger, 0, 0.5, store)
    run_trial(ledger, 1, 0.7, store)
    failed = ledger.claim(identity_of(2), SWEEP, stranger(), TTL)
    assert failed is not None
    ledger.finish_attempt(failed.attempt_id, TrialState.FAILED, None, "diverged", "loss is nan")
    store.write("sweeps/report.html", b"<p>yes</p>")
    ledger.enqueue_publication(
        SWEEP, "report", {"name": "head", "key": "sweeps/report.html", "headline": "it helps"}
    )
    ledger.set_sweep_state(SWEEP, SweepState.SUCCEEDED)

    publish(ledger, tracker, SWEEP)

    found = runs(tracker)
    parent, arm = found[SWEEP], found[f"{SWEEP}/arm/baseline"]
    trial = found[f"{SWEEP}/trial/{identity_of(0)}"]
    lost = found[f"{SWEEP}/trial/{identity_of(2)}"]
    assert len(found) == 1 + 2 + 3  # the fourth trial never ran
    assert parent.data.tags["mlflow.note.content"].startswith("**Does depth help?**")
    assert parent.data.tags["sweep.report.head"] == "it helps"
    assert arm.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert trial.data.tags["mlflow.parentRunId"] == arm.info.run_id
    assert trial.data.params == {"head.layers": "1", "seed": "0"}
    assert arm.data.params == {"head.layers": "1"}
    assert trial.data.metrics["eval/validation/accuracy"] == 0.5
    assert trial.data.metrics["cost/device_seconds"] == 9.0
    assert trial.data.tags["sweep.state"] == "succeeded"
    assert trial.data.tags["sweep.package.pydantic"]
    assert {
        (entry.dataset.name, entry.tags[0].value, len(entry.dataset.digest))
        for entry in trial.inputs.dataset_inputs
    } == {("scenes", "training", 36), ("validation", "evaluation", 36)}
    assert arm.data.metrics["eval/validation/accuracy"] == pytest.approx(0.6)
    assert arm.data.metrics["eval/validation/accuracy.std"] == pytest.approx(0.1414, abs=1e-4)
    assert arm.data.metrics["seeds"] == 2
    assert lost.data.tags["sweep.error_kind"] == "diverged"
    assert (lost.data.tags["sweep.axis"], lost.data.tags["sweep.level"]) == ("head.layers", "3")
    statuses = [parent.info.status, arm.info.status, trial.info.status, lost.info.status]
    assert statuses == ["FINISHED", "FINISHED", "FINISHED", "FAILED"]
    assert found[f"{SWEEP}/arm/head.layers=3"].info.status == "FAILED"
    assert (folder_of(parent) / "report" / "report.html").read_bytes() == b"<p>yes</p>"
    assert history(tracker, trial, "train/loss") == [(10, 0.1), (20, 0.05)]


def test_publishing_again_from_the_start_doubles_nothing(
    ledger: Ledger, tracker: Tracker, store: LocalStore, mlflow_uri: str, tmp_path: Path
) -> None:
    from infra.mlflow_tracker import MlflowTracker

    register_head(ledger, store)
    run_trial(ledger, 0, 0.5, store)
    publish(ledger, tracker, SWEEP)
    before = runs(tracker)
    again = MlflowTracker(mlflow_uri, f"experiment {tmp_path.name}", None)
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM cursors")

    publish(ledger, again, SWEEP)

    after = runs(again)
    assert {key: run.info.run_id for key, run in after.items()} == {
        key: run.info.run_id for key, run in before.items()
    }
    trial = after[f"{SWEEP}/trial/{identity_of(0)}"]
    assert history(again, trial, "train/loss") == [(10, 0.1), (20, 0.05)]
    assert history(again, trial, "eval/validation/accuracy") == [(0, 0.5)]
    assert len(trial.inputs.dataset_inputs) == 2


def test_a_trial_taken_over_shows_each_step_once_and_runs_again(
    ledger: Ledger, tracker: Tracker, store: LocalStore, clock: SimulatedClock
) -> None:
    register_head(ledger, store)
    first = ledger.claim(identity_of(0), SWEEP, stranger("one"), TTL)
    assert first is not None
    ledger.record_report(first.attempt_id, report(10, {"train/loss": 0.3}, checkpoint(10)))
    ledger.record_report(first.attempt_id, report(20, {"train/loss": 0.2}))
    publish(ledger, tracker, SWEEP)
    clock.now += TTL + 1
    second = ledger.claim(identity_of(0), SWEEP, stranger("two"), TTL)
    assert second is not None
    for step in (20, 30):
        ledger.record_report(second.attempt_id, report(step, {"train/loss": 0.1}))

    publish(ledger, tracker, SWEEP)

    trial = runs(tracker)[f"{SWEEP}/trial/{identity_of(0)}"]
    assert history(tracker, trial, "train/loss") == [(10, 0.3), (20, 0.2), (30, 0.1)]
    assert trial.info.status == "RUNNING"
    assert trial.data.tags["sweep.attempts"] == "2"


def test_a_reused_trial_is_shown_whole_under_the_sweep_that_joined(
    ledger: Ledger, tracker: Tracker, store: LocalStore
) -> None:
    register_head(ledger, store)
    run_trial(ledger, 0, 0.5, store)
    register_head(ledger, store, "again-00000002")

    publish(ledger, tracker, "again-00000002")

    trial = runs(tracker)[f"again-00000002/trial/{identity_of(0)}"]
    assert trial.data.tags["sweep.reused"] == "true"
    assert history(tracker, trial, "train/loss") == [(10, 0.1), (20, 0.05)]
    assert trial.data.metrics["cost/paid_device_seconds"] == 0


def test_a_server_that_is_down_loses_nothing_and_is_told_later(
    ledger: Ledger, store: LocalStore, tracker: Tracker, closed_port: int
) -> None:
    from infra.mlflow_tracker import MlflowTracker

    register_head(ledger, store)
    run_trial(ledger, 0, 0.5, store)
    up = threading.Event()

    def open_tracker() -> Tracker:
        return tracker if up.is_set() else MlflowTracker(f"http://127.0.0.1:{closed_port}", "any")

    with Publisher(ledger, SWEEP, open_tracker, interval_seconds=60) as publisher:
        started = time.monotonic()
        assert not publisher.flush(30)
        assert time.monotonic() - started < 20
        assert f"127.0.0.1:{closed_port} failed" in str(publisher.problem)
        up.set()
        run_trial(ledger, 1, 0.7, store)
        assert publisher.flush(30)
        assert publisher.problem is None

    assert runs(tracker)[f"{SWEEP}/arm/baseline"].data.metrics["seeds"] == 2


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound but not listened on: nobody answers, and nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class _Hanging(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.release.wait(30)  # type: ignore[attr-defined]

    do_POST = do_GET  # noqa: N815 -- the name http.server calls


@pytest.fixture
def hanging_server() -> Iterator[str]:
    """A server that takes every request and answers none."""
    server = HTTPServer(("127.0.0.1", 0), _Hanging)
    server.release = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.release.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def test_a_server_that_hangs_stalls_nobody(
    ledger: Ledger, store: LocalStore, hanging_server: str
) -> None:
    register_head(ledger, store)
    settings = load_settings({"RMSWEEP_TRACKING_URI": hanging_server})
    row = ledger.sweep(SWEEP)
    publisher = Publisher(ledger, SWEEP, tracker_opener(row, settings))
    publisher.start()

    started = time.monotonic()
    assert not publisher.stop(0.5)

    assert time.monotonic() - started < 5
    assert ledger.cursor(cursor_name(hanging_server, SWEEP)) == 0


def test_what_another_process_has_published_in_between_is_not_made_again(
    ledger: Ledger, tracker: Tracker, store: LocalStore, mlflow_uri: str, tmp_path: Path
) -> None:
    from infra.mlflow_tracker import MlflowTracker

    mine = SweepPublishing(ledger, tracker, SWEEP)
    register_head(ledger, store)
    assert mine.publish() == 2
    run_trial(ledger, 0, 0.5, store)
    other = MlflowTracker(mlflow_uri, f"experiment {tmp_path.name}", None)
    assert publish(ledger, other, SWEEP) == 4

    run_trial(ledger, 1, 0.5, store)
    assert mine.publish() == 4

    assert runs(tracker)[f"{SWEEP}/arm/baseline"].data.metrics["seeds"] == 2


def test_only_one_process_publishes_a_sweep_at_a_time(
    ledger: Ledger, tracker: Tracker, store: LocalStore
) -> None:
    register_head(ledger, store)
    name = cursor_name(tracker.uri, SWEEP)
    other = stranger("publisher")
    assert ledger.take_lease(name, other, TTL)

    assert publish(ledger, tracker, SWEEP) == 0
    assert not ledger.take_lease(name, Holder.here(), TTL)
    ledger.give_back_lease(name, other)
    assert publish(ledger, tracker, SWEEP) == 2


def test_a_publication_whose_file_is_gone_is_left_out(
    ledger: Ledger, tracker: Tracker, store: LocalStore
) -> None:
    register_head(ledger, store)
    ledger.enqueue_publication(SWEEP, "ensemble", {"name": "best", "key": "ensembles/best.json"})
    store.write("a.txt", json.dumps({}).encode())
    ledger.enqueue_publication(SWEEP, "report", {"files": {"deep/a.txt": "a.txt"}})

    publish(ledger, tracker, SWEEP)

    parent = runs(tracker)[SWEEP]
    folder = Path(parent.info.artifact_uri.removeprefix("file:"))
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.txt")] == [
        "report/deep/a.txt"
    ]
    assert is_caught_up(ledger, tracker.uri, SWEEP)


class QuickSweep(NullTracker):
    """A tracker during every pass of which the sweep goes on."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.passes = 0

    def ensure_run(self, facts: RunFacts) -> str:
        if facts.key == SWEEP:
            self.passes += 1
            assert self.passes < 9, "the pass does not end while the sweep goes on"
            self._ledger.record_decision(SWEEP, "decided", {"decisions": []})
        return super().ensure_run(facts)


def test_a_pass_ends_although_the_sweep_goes_on_meanwhile(
    ledger: Ledger, store: LocalStore
) -> None:
    register_head(ledger, store)
    tracker = QuickSweep(ledger)

    told = publish(ledger, tracker, SWEEP)

    assert told > 0
    assert tracker.passes == 1
    assert not is_caught_up(ledger, tracker.uri, SWEEP)
