"""Which part of a cluster each of the sweeps on it may use: by priority, then in turns.

Pure arithmetic on what every driver has written into the ledger, so that all of them come to the
same shares without speaking to one another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from sweep.engine.budgets.budget import verdict
from sweep.engine.growing.growth import Asked
from sweep.engine.view import SweepView
from sweep.records.sharing import Demand


def demand_of(view: SweepView, *, slots: int, at_most: int) -> Demand:
    """What a sweep could use, with so many slots a worker, of at most so many.

    A search asks for a point only where a device is free for it, so its points to come count.
    """
    running = view.running_here
    held = sum(trial.workers for trial in running)
    could = 0.0
    unit = math.inf
    for workers in _could_use(view):
        if could * slots >= at_most:
            break
        could += workers
        unit = min(unit, workers)
    cap = view.budget.devices
    # Of a device that trials share, nobody else can use the rest.
    whole, more = math.ceil(held), math.ceil(could)
    wanted = whole + more if cap is None else min(cap, whole + more)
    return Demand(
        sweep_id=view.sweep_id,
        priority=view.budget.priority,
        since=view.observation.now,
        wanted=max(whole, wanted) * slots,
        unit=slots * (1 if math.isinf(unit) else math.ceil(unit)),
        held=whole * slots,
    )


def _could_use(view: SweepView) -> Iterator[float]:
    """Devices of every gang that could start, and of one for every point a search has left."""
    for key in view.queue:
        trial = view.trials[key[-1]]
        if view.startable(trial):
            yield trial.workers
    left = view.growth.arms_asked - sum(isinstance(each, Asked) for each in view.history)
    if not view.stop_requested and verdict(view.budget, view.spent).allowance == "go":
        smallest = min((trial.workers for trial in view.trials), default=1.0)
        yield from itertools.repeat(smallest, max(0, left))


def shares(total: int, demands: Sequence[Demand]) -> dict[str, int]:
    """Slots of each sweep: the higher priority first, equals in turns of one gang each."""
    given = {demand.sweep_id: 0 for demand in demands}
    left = total
    for priority in sorted({demand.priority for demand in demands}, reverse=True):
        equals = [demand for demand in demands if demand.priority == priority]
        hungry = sorted(equals, key=lambda demand: (demand.since, demand.sweep_id))
        while hungry:
            first = min(hungry, key=lambda demand: given[demand.sweep_id])
            more = min(first.unit, first.wanted - given[first.sweep_id])
            if more <= 0 or more > left:
                hungry.remove(first)
                continue
            given[first.sweep_id] += more
            left -= more
    return given


def usable(total: int, demands: Sequence[Demand]) -> dict[str, int]:
    """Slots each sweep may use by now: of its share, what others no longer hold."""
    given = shares(total, demands)
    free = max(0, total - sum(demand.held for demand in demands))
    for demand in sorted(demands, key=lambda each: (-each.priority, each.since, each.sweep_id)):
        more = min(free, max(0, given[demand.sweep_id] - demand.held))
        given[demand.sweep_id] = min(given[demand.sweep_id], demand.held + more)
        free -= more
    return given


def owed(total: int, demands: Sequence[Demand]) -> dict[str, int]:
    """Slots each sweep is to give back now: only to higher priorities, the lowest gives first.

    Equals are never interrupted for one another: what runs ends, and the next gang is another's.
    """
    given = shares(total, demands)
    free = max(0, total - sum(demand.held for demand in demands))
    debts: dict[str, int] = {}
    for demand in sorted(demands, key=lambda each: (each.priority, -each.since, each.sweep_id)):
        lacking = _lacking_above(demand.priority, demands, given) - free - sum(debts.values())
        debts[demand.sweep_id] = max(0, min(lacking, demand.held - given[demand.sweep_id]))
    return debts


def _lacking_above(priority: int, demands: Sequence[Demand], given: Mapping[str, int]) -> int:
    return sum(
        max(0, given[demand.sweep_id] - demand.held)
        for demand in demands
        if demand.priority > priority
    )
