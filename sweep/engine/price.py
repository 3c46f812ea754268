"""What a sweep costs: device-hours, money, and how long it takes on a number of devices."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweep.engine.budget import SECONDS_PER_HOUR
from sweep.engine.cost_model import Interval

_LOOK_AHEAD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPrice:
    """What one trial is expected to take."""

    seconds: Interval
    """Wall time."""
    workers: int


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


def price_trials(prices: Sequence[TrialPrice], *, market: Market) -> PriceEstimate:
    """The price of trials together, given in the order they will start."""
    hours = Interval(0.0, 0.0, 0.0)
    for price in prices:
        hours += price.seconds * (price.workers / SECONDS_PER_HOUR)
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


def simulated_makespan(trials: Iterable[tuple[float, int]], *, devices: int) -> float | None:
    """Seconds until the last trial ends, started in order, smaller gangs filling what is free.

    Args:
        trials: Seconds and workers of each.
        devices: How many there are.

    Returns:
        None when a gang needs more devices than there are.
    """
    queue = deque(trials)
    if any(workers > devices for _, workers in queue):
        return None
    free, now = devices, 0.0
    ends: list[tuple[float, int]] = []
    while queue or ends:
        free -= _start_what_fits(queue, ends, free=free, now=now)
        now, workers = heapq.heappop(ends)
        free += workers
    return now


def _start_what_fits(
    queue: deque[tuple[float, int]], ends: list[tuple[float, int]], *, free: int, now: float
) -> int:
    """Start trials from the front of the queue; how many devices they took."""
    passed: list[tuple[float, int]] = []
    taken = 0
    while queue and taken < free and len(passed) < _LOOK_AHEAD:
        seconds, workers = queue.popleft()
        if workers <= free - taken:
            heapq.heappush(ends, (now + seconds, workers))
            taken += workers
        else:
            passed.append((seconds, workers))
    queue.extendleft(reversed(passed))
    return taken
