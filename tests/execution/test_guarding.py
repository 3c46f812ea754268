"""What Tune sees of a dispatcher that fails."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from infra.errors import StoreError
from sweep.execution.dispatching import PlacedOrder
from sweep.execution.guarding import GuardedDispatcher
from sweep.execution.orders import TrialNews, TrialOrder, Verdict
from sweep.execution.placement import Holding, Place
from trainer.config import TrainerConfig
from trainer.reporting import TrialReport


class FailingDispatcher:
    """Gives out two orders; its ledger fails at the first news."""

    def __init__(self) -> None:
        self._numbers = iter((1, 2))

    def next_order(self, like: Holding | None = None) -> PlacedOrder | None:
        del like
        number = next(self._numbers, None)
        if number is None:
            return None
        order = TrialOrder(
            attempt=number, identity="a" * 64, config=TrainerConfig(), store_uri="file:/nowhere"
        )
        return PlacedOrder(order=order, place=Place(bundles=({"CPU": 1.0},), parts=(1,)))

    def has_live_orders(self) -> bool:
        return True

    def hear(self, news: TrialNews) -> Verdict:
        raise StoreError("the ledger is gone")

    def hear_actor_lost(self, attempt: int, error: str) -> None: ...

    def withdrawn(self) -> Iterable[int]:
        return ()


def test_after_an_exception_every_order_is_withdrawn_and_the_exception_comes_out() -> None:
    guarded = GuardedDispatcher(FailingDispatcher())
    guarded.next_order()
    guarded.next_order()
    guarded.reraise()
    report = TrialReport(step=1, fraction=0.5, seconds=1.0)

    verdict = guarded.hear(TrialNews(attempt=1, node="here", report=report))

    assert verdict == "end"
    assert guarded.next_order() is None
    assert not guarded.has_live_orders()
    assert set(guarded.withdrawn()) == {2}
    with pytest.raises(StoreError, match="the ledger is gone"):
        guarded.reraise()
