"""What a sweep costs: device-hours, money, and how long it takes on a number of devices."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sweep.engine.budgets.budget import SECONDS_PER_HOUR
from sweep.engine.planning.cost_model import Interval
from sweep.engine.view import MAX_OVERTAKES, ROUNDING


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPrice:
    """What one trial is expected to take."""

    seconds: Interval
    """Wall time."""
    workers: float
    """Devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What the price holds for."""

    device: str
    """Kind of device, of `cost_model.DEVICE_RATES`."""
    devices: int
    """How many there are to run on."""
    usd_per_device_hour: float | None
    calibrated_on: int
    """Earlier trials the seconds were corrected by; 0 means arithmetic only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceEstimate:
    """What a plan is expected to cost; trials that are finished already cost nothing."""

    trials: int
    """Still to be executed."""
    device_hours: Interval
    usd: Interval | None
    """None when a device-hour has no price."""
    makespan_hours: Interval | None
    """Wall time on the market's devices; None when a gang is larger than all of them together."""
    market: Market


def price_trials(
    prices: Sequence[TrialPrice], *, market: Market, least_share: float = 1.0
) -> PriceEstimate:
    """The price of trials together, given in the order they will start.

    Args:
        prices: Of every trial to its end.
        market: What they run on.
        least_share: Of all training that is done at least, where arms are stopped early; it counts
            for the lower ends alone.
    """
    hours = Interval(0.0, 0.0, 0.0)
    for price in prices:
        hours += price.seconds * (price.workers / SECONDS_PER_HOUR)
    hours = replace(hours, low=hours.low * least_share)
    makespan = simulated_makespan(
        ((price.seconds.mid, price.workers) for price in prices), devices=market.devices
    )
    span = None
    if makespan is not None:
        mid = makespan / SECONDS_PER_HOUR
        doubt = (hours.low / hours.mid, hours.high / hours.mid) if hours.mid else (1.0, 1.0)
        span = Interval(mid * doubt[0], mid, mid * doubt[1])
    rate = market.usd_per_device_hour
    return PriceEstimate(
        trials=len(prices),
        device_hours=hours,
        usd=None if rate is None else hours * rate,
        makespan_hours=span,
        market=market,
    )


def simulated_makespan(
    trials: Iterable[tuple[float, float]], *, devices: int, max_overtakes: int = MAX_OVERTAKES
) -> float | None:
    """Seconds until the last trial ends, started as `sweep.engine.admission` starts them.

    Args:
        trials: Seconds and devices of each, in plan order.
        devices: How many there are.
        max_overtakes: Smaller gangs that may start before a large one that waits.

    Returns:
        None when a gang needs more devices than there are.
    """
    waiting = _Waiting(trials)
    if waiting.largest > devices:
        return None
    free, now = devices + ROUNDING, 0.0
    ends: list[tuple[float, float]] = []
    while len(waiting) or ends:
        for seconds, workers in waiting.admitted(free, max_overtakes):
            heapq.heappush(ends, (now + seconds, workers))
            free -= workers
        now = ends[0][0]
        while ends and ends[0][0] == now:  # what ends together is free together
            free += heapq.heappop(ends)[1]
    return now


class _Waiting:
    """Trials that were not started yet, in plan order, found by the size of their gang."""

    def __init__(self, trials: Iterable[tuple[float, float]]) -> None:
        self._by_size: dict[float, deque[tuple[int, float]]] = {}
        self._started = 0
        self._count = 0
        for position, (seconds, workers) in enumerate(trials):
            self._by_size.setdefault(workers, deque()).append((position, seconds))
            self._count += 1
        self.largest = max(self._by_size, default=0)

    def __len__(self) -> int:
        return self._count - self._started

    def admitted(self, free: float, max_overtakes: int) -> Iterator[tuple[float, float]]:
        """Seconds and workers of those that start now."""
        while (head := self._first()) is not None and head[1] <= free:
            free -= head[1]
            yield self._start(head[1])
        if head is None or free <= ROUNDING:
            return
        # All before the head were started, so whoever else was started has overtaken it.
        overtakes = self._started - head[0]
        while overtakes < max_overtakes and free > ROUNDING:
            found = self._first(at_most=free)
            if found is None:
                return
            free -= found[1]
            overtakes += 1
            yield self._start(found[1])

    def _first(self, at_most: float | None = None) -> tuple[int, float] | None:
        """Position and workers of the first trial whose gang is small enough."""
        fitting = [
            (queue[0][0], workers)
            for workers, queue in self._by_size.items()
            if queue and (at_most is None or workers <= at_most)
        ]
        return min(fitting, default=None)

    def _start(self, workers: float) -> tuple[float, float]:
        self._started += 1
        _, seconds = self._by_size[workers].popleft()
        return seconds, workers
