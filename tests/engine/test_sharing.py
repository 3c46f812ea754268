"""Sweeps that share a cluster: what each is given, and who makes room for whom."""

from __future__ import annotations

from dataclasses import replace

from sweep.engine.decision_kinds import EndSweep, StopTrial
from sweep.engine.decisions import decide
from sweep.engine.sharing import demand_of, owed, shares, usable
from sweep.engine.view import Observation, SweepView
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.records.sharing import Demand
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import BudgetSpec
from tests.engine.scenarios import run_to_the_end, sweep_of
from tests.engine.simulation import TTL, SimulatedDriver
from tests.replay.tables import spec_of, table_of
from tests.replay.test_unfinished_sweeps import Replayed

SLOTS = 4


def demand(
    name: str, wanted: int, *, priority: int = 0, unit: int = 1, held: int = 0, since: float = 0.0
) -> Demand:
    return Demand(
        sweep_id=name, priority=priority, since=since, wanted=wanted, unit=unit, held=held
    )


class Sharing(SimulatedDriver):
    """A driver on a cluster of four devices that others use too."""

    def view(self) -> SweepView:
        base = super().view()
        mine = demand_of(base, slots=1, at_most=SLOTS)
        asked = self.ledger.ask("lab", mine, self.holder, TTL)
        name = base.sweep_id
        observed = replace(
            base.observation,
            capacity=usable(SLOTS, asked)[name],
            capacity_may_grow=True,
            owed=owed(SLOTS, asked)[name],
        )
        return replace(base, observation=observed)


def test_equal_sweeps_have_equal_parts_and_what_one_cannot_use_is_the_others() -> None:
    assert shares(8, [demand("a", 20), demand("b", 20)]) == {"a": 4, "b": 4}
    assert shares(8, [demand("a", 20), demand("b", 2)]) == {"a": 6, "b": 2}
    assert shares(9, [demand("a", 20, since=1.0), demand("b", 20)]) == {"a": 4, "b": 5}


def test_a_higher_priority_has_all_it_can_use_and_lower_ones_the_rest() -> None:
    asked = [demand("low", 20), demand("high", 6, priority=5), demand("lowest", 20, priority=-1)]

    assert shares(8, asked) == {"high": 6, "low": 2, "lowest": 0}


def test_nobody_is_given_half_a_gang() -> None:
    asked = [demand("a", 8, unit=4), demand("b", 8, unit=4, since=1.0), demand("c", 8, since=2.0)]

    assert shares(6, asked) == {"a": 4, "b": 0, "c": 2}
    assert shares(4, [demand("a", 4, unit=2), demand("b", 4, unit=2)]) == {"a": 2, "b": 2}


def test_what_others_still_hold_is_waited_for() -> None:
    asked = [demand("a", 9, held=8), demand("b", 9, since=1.0), demand("c", 9, since=2.0)]

    assert shares(9, asked) == {"a": 3, "b": 3, "c": 3}
    assert usable(9, asked) == {"a": 3, "b": 1, "c": 0}


def test_only_higher_priorities_are_made_room_for_and_the_lowest_gives_first() -> None:
    low, lowest = demand("low", 4, held=4), demand("lowest", 9, priority=-1, held=4)

    assert owed(8, [low, lowest, demand("high", 3, priority=5)]) == {
        "high": 0, "low": 0, "lowest": 3,
    }  # fmt: skip
    assert owed(8, [low, lowest, demand("high", 6, priority=5)]) == {
        "high": 0, "low": 2, "lowest": 4,
    }  # fmt: skip
    assert owed(10, [low, lowest, demand("high", 2, priority=5)]) == {
        "high": 0, "low": 0, "lowest": 0,
    }  # fmt: skip
    assert owed(8, [demand("a", 9, held=8), demand("b", 9)]) == {"a": 0, "b": 0}


def test_two_drivers_on_one_ledger_take_turns(ledger: Ledger, clock: SimulatedClock) -> None:
    first = Sharing(sweep_of(ledger, clock, *[1] * 12))
    first.look()
    second = Sharing(sweep_of(ledger, clock, *[1] * 12))
    second.look()
    assert (len(first.running), len(second.running)) == (4, 0)

    side_by_side = []
    while first.ended is None or second.ended is None:
        clock.now += 2.0
        for driver in (first, second):
            driver.step()
            driver.look()
        side_by_side.append((len(first.running), len(second.running)))
        assert sum(side_by_side[-1]) <= SLOTS

    assert (2, 2) in side_by_side
    assert {first.ended.state, second.ended.state} == {SweepState.SUCCEEDED}


def test_a_higher_priority_is_made_room_for_and_what_waits_goes_on_after_it(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    low = Sharing(sweep_of(ledger, clock, *[1] * 4))
    low.look()
    clock.now += 4.0
    low.step()
    high = Sharing(sweep_of(ledger, clock, 1, 1, 1, budget=BudgetSpec(priority=3)))
    high.look()
    assert not high.running

    while high.ended is None:
        low.step()
        high.step()
        assert len(low.running) + len(high.running) <= SLOTS
        clock.now += 2.0
    ended = run_to_the_end(low)

    assert high.ended == ended == EndSweep(state=SweepState.SUCCEEDED, reason=ended.reason)
    attempts = ledger.attempts([trial.identity for trial in low.sweep.trials])
    assert [one.state for one in attempts].count("paused") == 3
    assert sum(one.seconds for one in attempts) <= 4 * 10.0 + 2.0 * 3


def test_a_sweep_keeps_to_its_own_cap_on_an_idle_cluster(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(
        sweep_of(ledger, clock, 1, 1, 1, 1, capacity=4, budget=BudgetSpec(devices=2))
    )
    driver.look()

    assert len(driver.running) == 2
    assert run_to_the_end(driver).state is SweepState.SUCCEEDED


def test_a_gang_larger_than_the_cap_ends_the_sweep_and_says_how_to_raise_it(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    driver = SimulatedDriver(sweep_of(ledger, clock, 3, capacity=4, budget=BudgetSpec(devices=2)))

    ended = run_to_the_end(driver)

    assert ended.state is SweepState.FAILED
    assert "needs 3 devices at once, budget.devices allows 2" in ended.reason
    assert f"rmsweep budget set {driver.sweep.sweep_id} devices=3" in ended.reason


def test_a_trial_that_pauses_at_its_rung_makes_the_room_that_is_owed() -> None:
    halving = {"kind": "asha", "reduction": 2, "first": "1/4"}
    sweep = Replayed(spec_of(scheduler=halving), table_of([[0.5], [0.6], [0.7], [0.8]]), workers=3)
    sweep.driver.begin()
    sweep.driver.step()
    events = sweep.journal.events(limit=None)
    at_rung = next(event for event in events if event.kind == "report")
    fold = sweep.fold()
    fold.apply_all(event for event in events if event.seq <= at_rung.seq)

    decisions = decide(
        fold.view(Observation(now=at_rung.time, capacity=2, driver="simulated", owed=1))
    )

    assert decisions == (StopTrial(identity=str(at_rung.identity), reason="it waits at its rung"),)
