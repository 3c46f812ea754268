"""`OrderBook`: the orders this driver has given out, and what the ledger is told of them.

Every order is an attempt this driver has claimed. It leaves the book in the moment the ledger is
told how the attempt ended, so an attempt in the book is one this driver still owes an end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from infra.errors import BusyError
from sweep.engine.fold import NOTED_KIND, PLACED_KIND
from sweep.execution.orders import TrialNews
from sweep.execution.patience import Patience
from sweep.execution.placement import Bundle
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import Attempt
from trainer.reporting import TrialOutcome, TrialReport


@dataclass(slots=True, kw_only=True)
class OpenOrder:
    """One order that has not ended."""

    attempt: Attempt
    bundles: Sequence[Bundle]
    given: float
    """When it was put into the book; this and the two below by the monotonic clock."""
    heard: float | None = None
    """When its actor was last heard; None before it began."""
    stop_since: float | None = None
    """When it was first to stop."""
    ending_since: float | None = None
    """When it first reported after that: from then on it writes its checkpoint."""
    node: str = ""
    machines: tuple[str, ...] = ()
    """All its gang lies on, by Ray's ids; none before it began."""

    @property
    def attempt_id(self) -> int:
        """The ledger's attempt."""
        return self.attempt.attempt_id


class OrderBook:
    """Open orders by attempt."""

    def __init__(self, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._open: dict[int, OpenOrder] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenOrder]:
        return iter(tuple(self._open.values()))

    def add(self, attempt: Attempt, bundles: Sequence[Bundle]) -> None:
        """Note an attempt that was claimed."""
        self._open[attempt.attempt_id] = OpenOrder(
            attempt=attempt, bundles=bundles, given=self._clock()
        )

    def get(self, attempt_id: int) -> OpenOrder | None:
        """An open order, or None when it has ended."""
        return self._open.get(attempt_id)

    def stop(self, order: OpenOrder) -> None:
        """Have an order end at its next step, with a checkpoint."""
        if order.stop_since is None:
            order.stop_since = self._clock()

    def stop_trial(self, identity: str) -> None:
        """Have a trial's order end, if there is one."""
        for order in self:
            if order.attempt.identity == identity:
                self.stop(order)

    def stop_on(self, leaving: frozenset[str]) -> list[OpenOrder]:
        """Have every order that lies on one of these machines end; those not told before."""
        found = [o for o in self if o.stop_since is None and leaving.intersection(o.machines)]
        for order in found:
            self.stop(order)
        return found

    def take_in(self, news: TrialNews) -> None:
        """Tell the ledger what an open order said; the last news close it."""
        order = self._open[news.attempt]
        # Where it ran matters while it runs, and where it failed.
        if order.node != news.node and news.outcome is None:
            placed = {
                "identity": order.attempt.identity,
                "node": news.node,
                "machines": list(news.machines),
            }
            self._ledger.record_decision(order.attempt.sweep_id, PLACED_KIND, placed)
        order.heard, order.node, order.machines = self._clock(), news.node, news.machines
        if news.report is not None:
            if order.stop_since is not None and order.ending_since is None:
                order.ending_since = order.heard
            self._take_report(order, news.report)
        elif news.outcome is not None:
            finished = TrialState.SUCCEEDED if news.outcome.finished else TrialState.PAUSED
            self.close(order, finished, outcome=news.outcome)
        elif news.fault is not None:
            fault = news.fault
            self.close(order, TrialState.FAILED, kind=fault.kind, message=fault.message)

    def _take_report(self, order: OpenOrder, report: TrialReport) -> None:
        try:
            self._ledger.record_report(order.attempt_id, report)
        except BusyError:
            self.drop(order)  # another driver took the trial over; it is theirs to end
            return
        if report.note:
            noted = {"identity": order.attempt.identity, "note": report.note}
            self._ledger.record_decision(order.attempt.sweep_id, NOTED_KIND, noted)

    def close(
        self,
        order: OpenOrder,
        state: TrialState,
        *,
        outcome: TrialOutcome | None = None,
        kind: str | None = None,
        message: str | None = None,
    ) -> None:
        """Tell the ledger how an order ended; its devices are charged from the claim until now.

        The engine charges a running attempt the same way, so what is spent never shrinks.
        """
        self.drop(order)
        # Taken over meanwhile: its end is another driver's to tell.
        with contextlib.suppress(BusyError):
            self._ledger.finish_attempt(
                order.attempt_id,
                state,
                outcome=outcome,
                error_kind=kind,
                error_message=message,
            )

    def drop(self, order: OpenOrder) -> None:
        """Forget an order without a word to the ledger."""
        self._open.pop(order.attempt_id, None)

    def close_overdue(self, patience: Patience) -> list[OpenOrder]:
        """Close every order that has not done what it should within its driver's patience."""
        unbegun = [order for order in self.waiting() if order.stop_since is not None]
        late = self.overdue(patience)
        for order in (*unbegun, *late):
            why = patience.why_paused(begun=order.heard is not None)
            self.close(order, TrialState.PAUSED, message=why)
        silent = self.silent(seconds=patience.silence)
        for order in silent:
            why = patience.why_lost(order.node)
            self.close(order, TrialState.FAILED, kind="communication", message=why)
        return [*unbegun, *late, *silent]

    def waiting(self, *, seconds: float = 0.0) -> list[OpenOrder]:
        """Orders whose actor was never heard, in this many seconds or more."""
        now = self._clock()
        return [o for o in self if o.heard is None and now - o.given >= seconds]

    def overdue(self, patience: Patience) -> list[OpenOrder]:
        """Orders that were to stop and have not within the grace.

        Half of it is for the first report after that, which says that a checkpoint is being
        written; the whole of it is over whatever is reported.
        """
        now = self._clock()
        return [
            order
            for order in self
            if order.stop_since is not None
            and now - order.stop_since
            > (patience.answer if order.ending_since is None else patience.grace)
        ]

    def silent(self, *, seconds: float) -> list[OpenOrder]:
        """Orders that began and have not been heard for this long."""
        now = self._clock()
        return [o for o in self if o.heard is not None and now - o.heard > seconds]
