"""The thread that keeps a tracker up to date while a sweep runs.

A driver never waits for the tracker: opening it, writing and waiting for a server that is down all
happen here, and whatever was not written stays in the ledger for the next time. That it is down is
said as soon as it is noticed: here, and in the ledger for onlookers elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from infra.errors import RmsweepError, StoreError
from infra.settings import Settings, masked
from infra.tracking import Tracker
from sweep.records.ledger import Ledger
from sweep.records.publishing import SweepPublishing, is_caught_up
from sweep.records.rows import DecisionRow, SweepRow

UNPUBLISHED_KIND = "unpublished"
"""Of the ledger's note `reason`: why the tracker does not show everything; empty when it does."""
OpenTracker = Callable[[], Tracker]
_LONGEST_PAUSE_SECONDS = 60.0
_REST = 9.0
"""Times what a pass has computed, until the next: it shares the driver's processor, and a pass over
2,000 trials computes for a third of a second."""
_MORE_PASSES = 3
"""Further passes of a flush: other sweeps may write of shared trials meanwhile."""
_log = logging.getLogger(__name__)


def tracker_opener(sweep: SweepRow, settings: Settings) -> OpenTracker:
    """How to open the MLflow a sweep is shown in; MLflow is imported only when it is called."""
    same = masked(settings.tracking_uri) == sweep.tracking_uri
    uri = settings.tracking_uri if same else sweep.tracking_uri  # the ledger keeps no password
    tracking = sweep.spec_json.get("tracking") or {}
    experiment = tracking.get("experiment") or sweep.name

    def open_tracker() -> Tracker:
        from infra.mlflow_tracker import MlflowTracker

        return MlflowTracker(uri, experiment, settings.artifact_uri)

    return open_tracker


class Publisher:
    """Publishes one sweep until it is stopped; `with Publisher(...):` stops it in the end."""

    def __init__(
        self,
        ledger: Ledger,
        sweep_id: str,
        open_tracker: OpenTracker,
        *,
        interval_seconds: float = 2.0,
        flush_seconds: float = 30.0,
    ) -> None:
        """Prepare; nothing happens before `start`.

        Args:
            ledger: Shared with other threads; read much, written to for the cursor only.
            sweep_id: The sweep to show.
            open_tracker: Called in the thread, since connecting can take seconds.
            interval_seconds: Pause between two looks at the ledger.
            flush_seconds: What leaving the `with` block may take.
        """
        self._ledger = ledger
        self._sweep_id = sweep_id
        self._open_tracker = open_tracker
        self._interval = interval_seconds
        self._flush_seconds = flush_seconds
        self._tracker: Tracker | None = None
        self._publishing: SweepPublishing | None = None
        self._ending = threading.Event()
        self._turn = threading.Condition()
        self._asked = 0  # flushes asked for
        self._answered = 0  # flushes that a pass begun after them has answered
        self._caught_up = False
        self._problem: str | None = None
        self._noted: bool | None = None
        """Whether the ledger says that something is not shown; None before it was looked up."""
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why the last pass failed; None when it did not."""
        return self._problem

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def flush(self, timeout_seconds: float) -> bool:
        """Publish what is there now; False if that failed or took too long (nothing is lost)."""
        with self._turn:
            self._asked += 1
            mine = self._asked
            self._turn.notify_all()
            answered = self._turn.wait_for(
                lambda: self._answered >= mine or not self._thread.is_alive(), timeout_seconds
            )
            return answered and self._answered >= mine and self._caught_up

    def stop(self, timeout_seconds: float) -> bool:
        """Publish what is there and end; False if something is left for the next time."""
        flushed = self.flush(timeout_seconds)
        self._ending.set()
        with self._turn:
            self._turn.notify_all()
        self._thread.join(timeout=1.0)  # a call that hangs in the tracker is left to die with us
        return flushed

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.stop(self._flush_seconds) and self._problem is not None:
            _log.warning("not everything is shown yet, nothing is lost: %s", self._problem)

    def _run(self) -> None:
        pause = self._interval
        while not self._ending.is_set():
            asked, opened, began = self._asked, self._publishing is not None, time.thread_time()
            caught_up = self._pass()
            for _ in range(_MORE_PASSES if asked > self._answered else 0):
                if not caught_up and self._problem is None:
                    caught_up = self._pass()
            # Importing MLflow, in the first pass, computes once.
            computed = time.thread_time() - began if opened else 0.0
            failed = not caught_up and self._problem is not None
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS) if failed else self._interval
            rest = min(_REST * computed, _LONGEST_PAUSE_SECONDS)
            with self._turn:
                self._answered = asked
                self._caught_up = caught_up
                self._turn.notify_all()
                self._turn.wait_for(
                    lambda: self._ending.is_set() or self._asked > self._answered,
                    max(pause, rest),
                )

    def _pass(self) -> bool:
        try:
            if self._tracker is None or self._publishing is None:
                self._tracker = self._open_tracker()
                self._publishing = SweepPublishing(self._ledger, self._tracker, self._sweep_id)
            self._publishing.publish()
            self._problem = None
            self._note("")
            return is_caught_up(self._ledger, self._tracker.uri, self._sweep_id)
        except StoreError as error:
            self._problem = str(error)
            self._note(self._problem)
        except RmsweepError as error:
            if str(error) != self._problem:
                _log.warning("the sweep cannot be shown: %s", error)
            self._problem = str(error)
        except Exception as error:  # noqa: BLE001 -- a bug in showing must not end the sweep
            self._problem = repr(error)
            _log.exception("the sweep cannot be shown")
        return False

    def _note(self, reason: str) -> None:
        """Say once that the tracker does not answer, and once that it does again."""
        with contextlib.suppress(RmsweepError):  # the ledger is away: its own trouble is told apart
            if self._noted is None:
                told = unpublished_reason(self._ledger.decisions(self._sweep_id))
                self._noted = bool(told)
            if self._noted == bool(reason):
                return
            self._ledger.record_decision(self._sweep_id, UNPUBLISHED_KIND, {"reason": reason})
            self._noted = bool(reason)
            if reason:
                _log.warning("not shown yet, nothing is lost, it is tried again: %s", reason)


def unpublished_reason(decisions: Iterable[DecisionRow]) -> str:
    """Why the tracker does not show everything, by what was noted last; else nothing."""
    last = ""
    for one in decisions:
        if one.kind == UNPUBLISHED_KIND:
            last = str(one.payload["reason"])
    return last
