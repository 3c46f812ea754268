"""`OrderSearcher`: hands the dispatcher's orders to Tune; it searches nothing itself."""

from __future__ import annotations

from typing import Any

from ray.tune.search import Searcher

from sweep.execution.dispatching import Dispatcher
from sweep.execution.trainable import ORDER_KEY


class OrderSearcher(Searcher):  # type: ignore[misc]  # Ray is untyped here
    """Carries orders from the dispatcher to Tune."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next order as Tune's config.

        With nothing to start and nothing live the search is over: Tune would wait for up to ten
        minutes in a loop that hears nobody. Whoever called Tune may call it again.
        """
        placed = self._dispatcher.next_order()
        if placed is not None:
            return {
                ORDER_KEY: placed.order.model_dump_json(),
                **placed.holding,
            }
        return None if self._dispatcher.has_live_orders() else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Ignored: the scheduler has told the dispatcher already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger remembers."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger remembers."""
