"""`Outlook`: what a driver sees before it decides: its sweep's events, and the devices there are.

Every view is made from the ledger as it stands; nothing is remembered but what was folded already.
"""

from __future__ import annotations

from sweep.engine.fold import SweepFold
from sweep.engine.view import Observation, SweepView
from sweep.execution.devices import Devices
from sweep.execution.order_book import OrderBook
from sweep.execution.patience import Patience
from sweep.records.ledger import Ledger
from sweep.records.rows import Holder

EVENTS_AT_ONCE = 5000


class Outlook:
    """Makes views of one sweep for its driver."""

    def __init__(
        self,
        fold: SweepFold,
        ledger: Ledger,
        holder: Holder,
        book: OrderBook,
        devices: Devices,
        patience: Patience,
    ) -> None:
        self._fold = fold
        self._ledger = ledger
        self._holder = holder
        self._book = book
        self._devices = devices
        self._patience = patience

    def view(self) -> SweepView:
        """The sweep as it stands now."""
        while True:
            events = self._ledger.events(
                self._fold.seen, EVENTS_AT_ONCE, sweep_id=self._fold.sweep_id
            )
            self._fold.apply_all(events)
            if len(events) < EVENTS_AT_ONCE:
                break
        return self._fold.view(
            Observation(
                now=self._ledger.now(),
                capacity=self._devices.count(
                    self._book.waiting(seconds=self._patience.queueing),
                    held=sum(order.attempt.workers for order in self._book),
                ),
                driver=self._holder.driver,
                held_elsewhere=self._held_elsewhere(),
                capacity_may_grow=self._devices.shared,
                owed=self._devices.owed,
            )
        )

    def _held_elsewhere(self) -> frozenset[str]:
        candidates = self._fold.may_run_elsewhere(self._holder.driver)
        return self._ledger.at_work(candidates) if candidates else frozenset()
