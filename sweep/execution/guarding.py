"""`GuardedDispatcher`: carries a dispatcher's exception out of Tune, which would turn it to text.

After the first exception nothing more is asked of the dispatcher: Tune is told to end every order,
and `reraise` brings the exception to whoever called Tune.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from sweep.execution.dispatching import Dispatcher, PlacedOrder
from sweep.execution.orders import TrialNews, Verdict
from sweep.execution.placement import Holding

T = TypeVar("T")


class GuardedDispatcher:
    """A dispatcher that never raises."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._given: set[int] = set()
        self._error: Exception | None = None

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune writes its searcher aside for a restore that is never asked for."""
        return {}

    def reraise(self) -> None:
        """Raise what the dispatcher raised, if it did."""
        if self._error is not None:
            raise self._error

    def next_order(self, like: Holding | None = None) -> PlacedOrder | None:
        """The dispatcher's, or nothing after an exception."""
        placed = self._guard(lambda: self._dispatcher.next_order(like), None)
        if placed is not None:
            self._given.add(placed.order.attempt)
        return placed

    def has_live_orders(self) -> bool:
        """The dispatcher's, or no after an exception."""
        return self._guard(self._dispatcher.has_live_orders, default=False)

    def hear(self, news: TrialNews) -> Verdict:
        """The dispatcher's, or `end` after an exception."""
        end: Verdict = "end"
        verdict = self._guard(lambda: self._dispatcher.hear(news), end)
        if news.is_last or verdict == "end":
            self._given.discard(news.attempt)
        return verdict

    def hear_actor_lost(self, attempt: int, error: str) -> None:
        """The dispatcher's."""
        self._given.discard(attempt)
        self._guard(lambda: self._dispatcher.hear_actor_lost(attempt, error), None)

    def withdrawn(self) -> Iterable[int]:
        """The dispatcher's, or every order after an exception."""
        nobody: Iterable[int] = ()
        gone = set(self._guard(self._dispatcher.withdrawn, nobody))
        if self._error is not None:
            gone |= self._given
        self._given -= gone
        return gone

    def _guard(self, ask: Callable[[], T], default: T) -> T:
        if self._error is not None:
            return default
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 -- raised again by `reraise`
            self._error = error
            return default
