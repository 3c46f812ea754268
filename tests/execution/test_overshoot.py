"""No budget is overshot by more than one tick and the grace of a stop, whoever falls silent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

import hypothesis.strategies as st
from hypothesis import given, settings

from sweep.engine.decision_kinds import (
    Drain,
    EndSweep,
    StartTrial,
    StopTrial,
    Wait,
    Warn,
    log_entry,
)
from sweep.engine.decisions import decide
from sweep.engine.fold import DECISIONS_KIND, SweepFold
from sweep.engine.replay import replay
from sweep.engine.view import Observation, SweepView
from sweep.execution.order_book import OrderBook
from sweep.execution.orders import TrialNews
from sweep.execution.patience import Patience
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.records.rows import Holder, TrialRow
from sweep.replay.journal import Journal
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import SweepSpec
from tests.engine.simulation import planned
from trainer.reporting import TrialOutcome, TrialReport

TICK = 10.0
ROUND = TICK / 2
"""Between two looks: one sees that a limit is reached, another that the grace is over."""
PATIENCE = Patience(grace=60.0)
CAPACITY = 3
STAGES = [{"name": "first", "axes": ["a"]}, {"name": "second", "axes": ["b"]}]


@dataclass
class Gang:
    """A running attempt that is heard in every round, or only once."""

    attempt: int
    ends: float
    silent: bool
    stop_takes: float
    """Seconds from being told to stop until it has; some never do."""
    heard: bool = False


@dataclass
class Shell:
    """Looks in rounds, with the driver's own book of orders, which ends what is overdue."""

    spec: SweepSpec
    lengths: list[float]
    silent: list[bool]
    stop_takes: list[float]
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    gangs: dict[str, Gang] = field(default_factory=dict)
    ended: bool = False

    def __post_init__(self) -> None:
        self.journal = Journal(clock=self.clock)
        self.book = OrderBook(cast(Ledger, self.journal), clock=self.clock)
        self.trials = [
            planned(f"t{index}", arm=f"arm {index // 2}", seed=index % 2, workers=1 + index % 2)
            for index in range(len(self.lengths))
        ]
        rows = [
            TrialRow(identity=t.identity, arm=t.arm, seed=t.seed, config_json={}, workers=t.workers)
            for t in self.trials
        ]
        self.holder = Holder(driver="d", pid=1, host="h")
        self.journal.add_trials("s", trials=rows)
        self.journal.acquire_sweep("s", self.holder, 1e9)
        self.journal.set_sweep_state("s", SweepState.RUNNING)
        self.fold = self.new_fold()

    def new_fold(self) -> SweepFold:
        return SweepFold("s", self.trials, self.spec)

    def view(self) -> SweepView:
        self.fold.apply_all(self.journal.events(self.fold.seen, None))
        return self.fold.view(
            Observation(now=self.clock.now, capacity=CAPACITY, driver=self.holder.driver)
        )

    def look(self) -> None:
        while not self.ended:
            view = self.view()
            decisions = decide(view)
            if all(isinstance(each, Wait) for each in decisions):
                return
            self.journal.record_decision("s", DECISIONS_KIND, log_entry(view, decisions))
            for each in decisions:
                if isinstance(each, StartTrial):
                    self.start(each)
                elif isinstance(each, StopTrial):
                    self.stop(each.identity)
                elif isinstance(each, EndSweep):
                    self.ended = True

    def start(self, decision: StartTrial) -> None:
        index = int(decision.identity[1:])
        trial = self.trials[index]
        attempt = self.journal.claim(
            trial.identity, "s", self.holder, 1e9, trial.workers, retry=decision.retry
        )
        assert attempt is not None
        self.book.add(attempt, [])
        silent = self.silent[index]
        self.gangs[trial.identity] = Gang(
            attempt=attempt.attempt_id,
            ends=math.inf if silent else self.clock.now + self.lengths[index],
            silent=silent,
            stop_takes=self.stop_takes[index],
        )

    def stop(self, identity: str) -> None:
        gang = self.gangs[identity]
        order = self.book.get(gang.attempt)
        assert order is not None
        self.book.stop(order)
        if not gang.silent:
            gang.ends = min(gang.ends, self.clock.now + gang.stop_takes)

    def round(self) -> None:
        """What ends in the next seconds ends when it does; the driver looks afterwards."""
        until = self.clock.now + ROUND
        for gang in sorted(self.gangs.values(), key=lambda gang: gang.ends):
            if gang.ends <= until:
                self.clock.now = max(self.clock.now, gang.ends)
                self.hear(
                    gang, TrialOutcome(finished=True, step=9, fraction=1.0, seconds=1.0, metrics={})
                )
        self.clock.now = until
        for gang in self.gangs.values():
            if self.book.get(gang.attempt) is not None and not (gang.silent and gang.heard):
                self.hear(gang, None)
                gang.heard = True
        self.book.close_overdue(PATIENCE)
        self.gangs = {
            name: gang
            for name, gang in self.gangs.items()
            if self.book.get(gang.attempt) is not None
        }
        self.look()

    def longest_of_an_arm(self) -> float:
        """Seconds from the first start to the last end of the arm that took longest."""
        spans: dict[str, list[float]] = {}
        for event in self.journal.events(limit=None):
            if event.kind in ("attempt_started", "attempt_finished"):
                spans.setdefault(f"arm {int(str(event.identity)[1:]) // 2}", []).append(event.time)
        return max((max(times) - min(times) for times in spans.values()), default=0.0)

    def hear(self, gang: Gang, outcome: TrialOutcome | None) -> None:
        report = TrialReport(step=1, fraction=0.5, seconds=1.0, metrics={})
        self.book.take_in(
            TrialNews(
                attempt=gang.attempt,
                node="here",
                report=report if outcome is None else None,
                outcome=outcome,
            )
        )


HOURS = st.none() | st.floats(0.005, 0.1)


@given(
    lengths=st.lists(st.floats(1.0, 200.0), min_size=2, max_size=8),
    silent=st.lists(st.booleans(), min_size=8, max_size=8),
    stop_takes=st.lists(
        st.floats(0.0, 2 * PATIENCE.grace) | st.just(math.inf), min_size=8, max_size=8
    ),
    gpu_hours=HOURS,
    hours=HOURS,
    of_stage=HOURS,
    of_arm=HOURS,
    hours_of_arm=HOURS,
)
@settings(max_examples=40, deadline=None)
def test_nothing_is_overshot_by_more_than_a_tick_and_the_grace(
    *,
    lengths: list[float],
    silent: list[bool],
    stop_takes: list[float],
    gpu_hours: float | None,
    hours: float | None,
    of_stage: float | None,
    of_arm: float | None,
    hours_of_arm: float | None,
) -> None:
    # Something must end a gang that never speaks.
    limits = [each for each in (gpu_hours, hours, of_stage) if each is not None]
    budget = {
        "gpu_hours": gpu_hours,
        "hours": hours if limits else 0.05,
        "per_arm": {"gpu_hours": of_arm, "hours": hours_of_arm},
        "per_stage": {"first": {"gpu_hours": of_stage}},
    }
    spec = SweepSpec.model_validate(
        {"name": "s", "design": {"kind": "staged", "stages": STAGES}, "budget": budget}
    )
    shell = Shell(spec=spec, lengths=lengths, silent=silent, stop_takes=stop_takes)

    shell.look()
    for _ in range(1000):
        if shell.ended:
            break
        shell.round()

    assert shell.ended
    late = TICK + PATIENCE.grace
    view = shell.view()
    spent = view.spent
    if gpu_hours is not None:
        assert spent.device_seconds <= 3600 * gpu_hours + CAPACITY * late
    if spec.budget.hours is not None:
        assert spent.wall_seconds <= 3600 * spec.budget.hours + late
    if of_stage is not None:
        assert spent.device_seconds <= 3600 * of_stage + CAPACITY * late
    if of_arm is not None:
        for arm in {trial.arm for trial in view.trials}:
            paid = sum(trial.device_seconds for trial in view.trials if trial.arm == arm)
            assert paid <= 3600 * of_arm + CAPACITY * late
    if hours_of_arm is not None:
        for used in view.spent_by_arm.values():
            assert used.running_devices == 0
        assert shell.longest_of_an_arm() <= 3600 * hours_of_arm + late
    moments = list(replay(shell.new_fold(), shell.journal.events(limit=None)))
    assert all(moment.agrees for moment in moments)
    told = [(type(each), each.limit) for moment in moments for each in moment.again
            if isinstance(each, Warn | Drain)]  # fmt: skip
    assert len(told) == len(set(told))
