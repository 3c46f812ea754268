"""A stage that has spent its budget is over, and the next one goes on from what there is."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.engine.decision_kinds import AddTrials, CloseArm, Drain, DropTrial, EndSweep, Warn
from sweep.engine.fold import DECISIONS_KIND, SweepFold
from sweep.engine.growing.rules import make_growth
from sweep.engine.replay import replay
from sweep.engine.view import Observation
from sweep.records.rows import Event
from sweep.replay.curves import CurveTable
from sweep.replay.driving import SimulatedDriver
from sweep.replay.planning import plan_replay
from sweep.replay.replaying import journal_of
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import SweepSpec
from tests.replay.tables import decisions_in, spec_of
from tests.replay.test_growth import STAGED, two_factors

ASHA = {"kind": "asha", "reduction": 3, "first": "1/9"}


def run(
    spec: SweepSpec, table: CurveTable, workers: int = 1
) -> tuple[SimulatedDriver, list[Event]]:
    plan, clock = plan_replay(spec, table), SimulatedClock()
    journal = journal_of(plan, clock)
    driver = SimulatedDriver(plan, journal, clock, workers=workers)
    driver.run()
    events = journal.events(limit=None)
    again = plan_replay(spec, table)
    fold = SweepFold(again.sweep_id, again.trials, spec, growth=make_growth(spec, again.drawn))
    assert all(moment.agrees for moment in replay(fold, events))
    return driver, events


def staged(**budget: object) -> SweepSpec:
    return spec_of(
        4, baseline={"a": 0, "b": 0}, axes={"a": [0, 1], "b": [0, 1]},
        design=STAGED | {"adopt": "best"}, budget={"per_stage": {"first": budget}},
    )  # fmt: skip


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stage_out_of_trials_finishes_what_it_began_and_the_next_one_follows(
    workers: int,
) -> None:
    spec = staged(trials=5)

    driver, events = run(spec, two_factors(0.1, 0.001), workers)

    decided = decisions_in(events)
    first = [trial for trial in driver.view().trials if trial.stage == 0]
    assert sum(trial.attempts > 0 for trial in first) == 5
    assert sum(trial.dropped for trial in first) == 3
    assert [type(each) for each in decided if isinstance(each, Warn | Drain)] == [Warn, Drain]
    assert sum(isinstance(each, DropTrial) for each in decided) == 3
    # The next stage starts from the arm that won with what seeds it had.
    assert {t.configuration for t in driver.trials} == {"0/0", "1/0", "1/1"}


def test_a_stage_out_of_device_hours_is_stopped_after_it_was_warned_and_drained() -> None:
    # A trial takes 9 s; eight of them are planned, and three begin before any has been measured.
    spec = staged(gpu_hours=20 / 3600)

    driver, events = run(spec, two_factors(0.1, 0.001), 3)

    decided = [
        d for d in decisions_in(events) if isinstance(d, Warn | Drain | CloseArm | AddTrials)
    ]
    assert [type(each) for each in decided] == [Warn, Drain, CloseArm, CloseArm, AddTrials]
    assert "budget.per_stage.first.gpu_hours is 0.00555" in decided[0].reason
    first = [trial for trial in driver.view().trials if trial.stage == 0]
    assert sum(trial.device_seconds for trial in first) == pytest.approx(20, abs=0.01)
    assert isinstance(driver.ended, EndSweep)
    assert "stopped early" in driver.ended.reason


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stage_begins_nothing_that_costs_more_than_it_has_left_and_the_next_one_follows(
    workers: int,
) -> None:
    # Two trials take 18 s; a third would be cut off after 2 s of its 9.
    driver, events = run(staged(gpu_hours=20 / 3600), two_factors(0.1, 0.001), workers)

    first = [trial for trial in driver.view().trials if trial.stage == 0]
    assert sum(trial.attempts for trial in first) == 2
    assert sum(trial.device_seconds for trial in first) == pytest.approx(18, abs=0.01)
    drops = [each for each in decisions_in(events) if isinstance(each, DropTrial)]
    assert len(drops) == 6
    assert "are left of the budget of its stage (budget.per_stage.first)" in drops[0].reason
    assert [type(d) for d in decisions_in(events) if isinstance(d, AddTrials)] == [AddTrials]
    assert all(trial.settled for trial in driver.view().trials)


def test_a_drained_stage_with_rungs_puts_aside_whole_arms() -> None:
    spec = spec_of(
        2, baseline={"a": 0, "b": 0}, axes={"a": [0, 1], "b": [0, 1]}, scheduler=ASHA,
        design=STAGED | {"adopt": "best"}, budget={"per_stage": {"first": {"trials": 1}}},
    )  # fmt: skip

    driver, events = run(spec, two_factors(0.1, 0.001))

    closed = {each.arm for each in decisions_in(events) if isinstance(each, CloseArm)}
    assert closed == {"a=1"}
    assert all(trial.settled for trial in driver.view().trials)


def test_another_limit_is_told_of_anew() -> None:
    fold = SweepFold("s", [], spec_of(budget={"hours": 1}))
    warned = {"kind": "warn", "limit": "budget.hours", "reason": ""}
    said = {"kind": DECISIONS_KIND, "decision": {"seen": 0, "decisions": [warned]}}

    def told(seq: int, kind: str, payload: dict[str, Any]) -> frozenset[tuple[str, str]]:
        event = Event(seq=seq, time=0.0, kind=kind, sweep_id="s", identity=None, payload=payload)
        fold.apply(event)
        return fold.view(Observation(now=0.0, capacity=1, driver="d")).told

    assert told(1, "decision", said) == {("warn", "budget.hours")}
    assert told(2, "budget_set", {"budget": {"hours": 2}}) == frozenset()
