"""The `Dispatcher` protocol: what the messengers in Tune ask and tell the driver."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sweep.execution.orders import TrialNews, TrialOrder, Verdict
from sweep.execution.placement import (
    AVOIDED_KEY,
    GANG_KEY,
    GENERATION_KEY,
    Holding,
    Place,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """An order and what its gang reserves."""

    order: TrialOrder
    place: Place
    generation: int = 0
    """Actors kept warm by an earlier one are not used for it."""

    @property
    def holding(self) -> Holding:
        """What an actor must hold to execute it."""
        return {
            GANG_KEY: [dict(bundle) for bundle in self.place.bundles],
            GENERATION_KEY: self.generation,
            AVOIDED_KEY: list(self.place.avoided),
        }


class Dispatcher(Protocol):
    """The driver as Tune's messengers see it; all calls come from one thread."""

    def next_order(self, like: Holding | None = None) -> PlacedOrder | None:
        """What to start now, or None; asked often, so cheap when nothing changed.

        With `like`, for an actor that holds this: None too where the next one needs something else.
        """
        ...

    def has_live_orders(self) -> bool:
        """Whether an order given out has not ended yet."""
        ...

    def hear(self, news: TrialNews) -> Verdict:
        """Take news of a live order."""
        ...

    def hear_actor_lost(self, attempt: int, error: str) -> None:
        """Take note that an order's actor died."""
        ...

    def withdrawn(self) -> Iterable[int]:
        """Attempts that must end although they may never report again; each told once."""
        ...
