"""Following what is written elsewhere: by ranks, in the store, and by a submission, on its head.

A running rank's log is carried into the store every few seconds, so whoever reaches ledger and
store can follow it. What is away for a while is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from infra.errors import MissingObjectError, StoreError
from sweep.cli.console import err, out
from sweep.cli.looking import Looking
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState, TrialState

if TYPE_CHECKING:
    from infra.clusters import ClusterEntry
    from infra.object_store import ObjectStore
    from sweep.execution.head import Head, Submission
    from sweep.records.ledger import Ledger
    from sweep.records.rows import SweepRow, TrialView

LOOK_SECONDS = 2.0
REST = 10.0
"""Looking takes at most a tenth of the time: after a look, so many times what it took is waited."""
ORPHANED_SECONDS = 120.0
"""How long a sweep in nobody's hands is waited for: one that was submitted needs its driver to come
up, and a driver that died is followed by another."""
LOST_SECONDS = 300.0
"""How long a ledger, store or head that does not answer is waited for."""

ENDED = frozenset(
    {TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED_EARLY, TrialState.CANCELLED}
)

StoreOf = Callable[["TrialView"], "ObjectStore"]


class LogFollower:
    """Prints what one rank of some trials of a sweep writes; attempts follow each other."""

    def __init__(
        self,
        ledger: Ledger,
        sweep_id: str,
        store_of: StoreOf,
        *,
        rank: int = 0,
        identity: str | None = None,
    ) -> None:
        """Prepare.

        Args:
            ledger: Says which trials there are, and how they stand.
            sweep_id: The sweep.
            store_of: The store with a trial's files.
            rank: Which rank of every gang.
            identity: Only this trial; all of the sweep, each line with its trial, when absent.
        """
        self._ledger = ledger
        self._sweep_id = sweep_id
        self._store_of = store_of
        self._rank = rank
        self._identity = identity
        self._shown: dict[str, int] = {}
        self._over: set[str] = set()
        self._in_hands: float | None = None
        """When somebody last had it, or may be about to; by the monotonic clock."""

    def follow(self) -> None:
        """Print until the trial, or the sweep, has ended or nobody runs it."""
        looking = Looking(LOST_SECONDS)
        while True:
            began = time.monotonic()
            if looking.at(self.look) is False:
                return
            _rest_since(began)

    def look(self) -> bool:
        """Print what is new; whether more may come."""
        row = self._ledger.sweep(self._sweep_id)
        views = self._watched()
        # How they stand is asked before their logs are read: what was written last is not missed.
        for view in views:
            if view.attempts and view.identity not in self._over:
                self._print_new(view)
                if view.state in ENDED:
                    self._over.add(view.identity)
        if row.state in ENDED_SWEEP_STATES or not self._may_go_on(row):
            return False
        return self._identity is None or any(view.state not in ENDED for view in views)

    def _may_go_on(self, row: SweepRow) -> bool:
        now = time.monotonic()
        if row.live or (self._in_hands is None and row.state is SweepState.PENDING):
            self._in_hands = now
        return self._in_hands is not None and now - self._in_hands < ORPHANED_SECONDS

    def _watched(self) -> Sequence[TrialView]:
        views = self._ledger.trials(self._sweep_id)
        if self._identity is None:
            return views
        return [view for view in views if view.identity == self._identity]

    def _print_new(self, view: TrialView) -> None:
        store = self._store_of(view)
        keys = log_keys(store, view.identity, rank=self._rank)
        shown = [number for number, key in enumerate(keys) if key in self._shown]
        # Those before the last one that was shown are complete.
        for key in keys[max(shown, default=0) :]:
            try:
                text = store.read(key).decode(errors="replace")
            except MissingObjectError:
                continue
            new = text[self._shown.get(key, 0) :]
            if not new:
                continue
            if key not in self._shown and self._identity is not None:
                err.print(f"{view.arm} seed {view.seed}, {key.split('/logs/')[1]}", style="dim")
            self._shown[key] = len(text)
            self._print(view, new)

    def _print(self, view: TrialView, new: str) -> None:
        if self._identity is not None:
            out.out(new, end="", highlight=False)
            return
        for line in new.splitlines():
            out.out(f"{view.arm}/{view.seed} | {line}", highlight=False)


class SubmissionFollower:
    """Prints what supervisor and driver of one submission write."""

    def __init__(self, entry: ClusterEntry, submission: Submission) -> None:
        """Prepare.

        Args:
            entry: The cluster it was handed to.
            submission: As its head took it.
        """
        self._entry = entry
        self._submission = submission
        self._head: Head | None = None
        self._shown = 0

    def follow(self) -> int:
        """Print until the submission has ended; 0 if its sweep succeeded, else 1.

        Raises:
            StoreError: If the head stays away, or was started anew and knows nothing of it.
        """
        from sweep.execution.head import ENDED

        ended = {state.value for state in ENDED}
        looking = Looking(LOST_SECONDS)
        while True:
            began = time.monotonic()
            seen = looking.at(lambda: (self.look(),))
            if seen is not None:
                (state,) = seen
                if state is None:
                    raise StoreError(self._forgotten())
                if state in ended:
                    return 0 if state == "SUCCEEDED" else 1
            _rest_since(began)

    def look(self) -> str | None:
        """Print what is new; how it stands, or None if the head knows nothing of it."""
        from sweep.execution.head import Head

        self._head = self._head or Head(self._entry)
        name = self._submission.submission_id
        # How it stands is asked before its log is read: what was written last is not missed.
        standing = self._head.standing(name)
        if standing is None:
            return None
        log = self._head.log(name)
        out.out(log[self._shown :], end="", highlight=False)
        self._shown = len(log)
        return str(standing[0].value)

    def _forgotten(self) -> str:
        named = self._submission
        return (
            f"the head at {named.address} was started anew and knows nothing of "
            f"{named.submission_id}; `rmsweep resume {named.sweep_id} --cluster {named.address}` "
            "goes on from the ledger"
        )


def _rest_since(began: float) -> None:
    time.sleep(max(LOOK_SECONDS, REST * (time.monotonic() - began)))


def log_keys(store: ObjectStore, identity: str, *, rank: int) -> list[str]:
    """Keys of one rank's logs of all attempts, oldest first."""
    start = f"trials/{identity}/logs/attempt-"
    wanted = f"/rank-{rank}.txt"
    found = [key for key in store.keys(start) if key.endswith(wanted)]
    return sorted(found, key=lambda key: int(key.removeprefix(start).partition("/")[0]))
