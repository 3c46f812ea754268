"""The journal says what a ledger says, so decisions on either are the same."""

from __future__ import annotations

from sweep.records.database import database_in_memory
from sweep.records.ledger import Ledger
from sweep.records.rows import Event
from sweep.replay.driving import SimulatedDriver
from sweep.replay.planning import ReplayPlan, plan_replay
from sweep.replay.replaying import journal_of, register
from sweep.replay.working import SimulatedClock
from tests.replay.tables import random_table, spec_of

_SINCE_REGISTRATION = {"sweep_registered", "trials_added"}


def said(events: list[Event]) -> list[tuple[object, ...]]:
    """What happened, when; places in the log aside, which only a database numbers so."""
    return [
        (event.time, event.kind, event.identity, _without_places(event.payload))
        for event in events
        if event.kind not in _SINCE_REGISTRATION
    ]


def _without_places(payload: object) -> object:
    if isinstance(payload, dict):
        dropped = ("seen", "pid", "resumed_step")
        return {k: _without_places(v) for k, v in payload.items() if k not in dropped}
    if isinstance(payload, list | tuple):
        return [_without_places(each) for each in payload]
    return payload


def events_in_ledger(plan: ReplayPlan) -> list[Event]:
    clock = SimulatedClock()
    with Ledger(database_in_memory(), clock=clock) as ledger:
        register(plan, ledger)
        SimulatedDriver(plan, ledger, clock, workers=3).run()
        return ledger.events(limit=None)


def events_in_journal(plan: ReplayPlan) -> list[Event]:
    clock = SimulatedClock()
    journal = journal_of(plan, clock)
    SimulatedDriver(plan, journal, clock, workers=3).run()
    return journal.events(limit=None)


def test_a_sweep_goes_the_same_way_in_journal_and_ledger() -> None:
    table = random_table(12, seeds=2, seed=3, lost=0.01)
    spec = spec_of(2, scheduler={"kind": "asha", "first": "1/9"}, budget={"gpu_hours": 0.1})
    plan = plan_replay(spec, table)

    assert said(events_in_journal(plan)) == said(events_in_ledger(plan))
