"""Sweeps without trainings: drivers that obey the engine on a real ledger, under a clock we set.

A trial is a number of seconds of work. Every report writes a checkpoint, a killed driver leaves
everything as it was, and several drivers may share trials.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from sweep.engine.decision_kinds import (
    Decision,
    DropTrial,
    EndSweep,
    StartTrial,
    StopTrial,
    Wait,
    log_entry,
)
from sweep.engine.decisions import decide
from sweep.engine.fold import DECISIONS_KIND, SweepFold
from sweep.engine.planning.cost_model import Interval
from sweep.engine.planning.plan import PlannedTrial
from sweep.engine.view import Observation, SweepView
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import ArmRow, Attempt, Holder, TrialRow
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import BudgetSpec, SweepSpec
from trainer.config import TrainerConfig
from trainer.reporting import CheckpointReference, TrialOutcome, TrialReport

TTL = 30.0
METRIC = "eval/validation/accuracy"
_numbers = itertools.count()


def open_ledger(folder: Path, clock: SimulatedClock) -> Ledger:
    """A ledger that need not survive a power cut, and is ten times faster for it."""
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", clock=clock)
    engine = ledger.database.engine
    engine.dispose()
    sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
    return ledger


def planned(
    identity: str, *, arm: str = "", seed: int = 0, seconds: float = 10.0, workers: float = 1
) -> PlannedTrial:
    """A trial of so many seconds."""
    return PlannedTrial(
        identity=identity,
        arm=arm or identity,
        seed=seed,
        config=TrainerConfig(),
        workers=workers,
        seconds=Interval(seconds, seconds, seconds),
    )


def distinct(name: str) -> str:
    """An identity no other test uses."""
    return f"{name}-{next(_numbers)}"


@dataclass
class Work:
    """One running attempt."""

    attempt: Attempt
    total: float
    started: float
    done: float
    stop: bool = False
    failure: str | None = None


@dataclass
class SimulatedSweep:
    """A sweep in the ledger, and how long its trials really take."""

    ledger: Ledger
    clock: SimulatedClock
    trials: Sequence[PlannedTrial]
    capacity: int = 2
    budget: BudgetSpec = field(default_factory=BudgetSpec)
    real_seconds: Mapping[str, float] = field(default_factory=dict)
    always_fails: Mapping[str, str] = field(default_factory=dict)
    """Kind of failure by identity, at the first report."""
    says: dict[str, str] = field(default_factory=dict)
    """What such a failure says, by identity."""
    sweep_id: str = field(default_factory=lambda: distinct("sweep"))

    def __post_init__(self) -> None:
        arms = dict.fromkeys(trial.arm for trial in self.trials)
        self.ledger.register_sweep(
            self.sweep_id,
            "simulated",
            {"name": self.sweep_id},
            arms=[ArmRow(name=arm) for arm in arms],
            trials=[
                TrialRow(
                    identity=trial.identity,
                    arm=trial.arm,
                    seed=trial.seed,
                    config_json={},
                    workers=trial.workers,
                )
                for trial in self.trials
            ],
            tracking_uri="none",
            storage="file:none",
        )

    def fold(self) -> SweepFold:
        """A fold that has seen nothing."""
        spec = SweepSpec(name="simulated", budget=self.budget)
        return SweepFold(self.sweep_id, self.trials, spec)

    def work_of(self, identity: str) -> float:
        """Seconds a trial really takes."""
        planned_seconds = next(t.seconds.mid for t in self.trials if t.identity == identity)
        return self.real_seconds.get(identity, planned_seconds)


class SimulatedDriver:
    """Claims, reports and ends what the engine decides; lives until it is killed or done."""

    def __init__(self, sweep: SimulatedSweep) -> None:
        self.sweep = sweep
        self.ledger = sweep.ledger
        self.clock = sweep.clock
        self.holder = Holder(driver=distinct("driver"), pid=1, host="simulated")
        self.running: dict[str, Work] = {}
        self.ended: EndSweep | None = None
        self.started: list[str] = []
        """Identities in the order they were started."""
        self.ledger.acquire_sweep(sweep.sweep_id, self.holder, TTL)
        self.ledger.set_sweep_state(sweep.sweep_id, SweepState.RUNNING)
        self.fold = sweep.fold()

    def view(self) -> SweepView:
        """What this driver sees now."""
        while events := self.ledger.events(self.fold.seen, sweep_id=self.sweep.sweep_id):
            self.fold.apply_all(events)
        held: frozenset[str] = frozenset()
        if self.fold.may_run_elsewhere(self.holder.driver):
            held = frozenset(
                trial.identity
                for trial in self.ledger.trials(self.sweep.sweep_id)
                if trial.live and trial.identity not in self.running
            )
        return self.fold.view(
            Observation(
                now=self.clock.now,
                capacity=self.sweep.capacity,
                driver=self.holder.driver,
                held_elsewhere=held,
            )
        )

    def look(self) -> tuple[Decision, ...]:
        """Decide, log and do, until there is nothing to do."""
        while self.ended is None:
            view = self.view()
            decisions = decide(view)
            if all(isinstance(decision, Wait) for decision in decisions):
                return decisions
            self.ledger.record_decision(
                self.sweep.sweep_id, DECISIONS_KIND, log_entry(view, decisions)
            )
            for decision in decisions:
                self._do(decision)
        return ()

    def report(self) -> None:
        """Every running trial says how far it is, and ends if it is done, failed or stopped."""
        self.ledger.heartbeat(self.holder, TTL)
        for identity, work in list(self.running.items()):
            self._report(identity, work)

    def answer(self) -> None:
        """Trials that were told to stop end at once."""
        for identity, work in list(self.running.items()):
            if work.stop:
                self._finish(identity, work, TrialState.PAUSED)

    def step(self) -> None:
        """A report of everything that runs, the engine's answer, and what comes of it."""
        if self.ended is None:
            self.report()
            self.look()
            self.answer()
            self.look()

    def _do(self, decision: Decision) -> None:
        if isinstance(decision, StartTrial):
            self._start(decision)
        elif isinstance(decision, StopTrial):
            self.running[decision.identity].stop = True
        elif isinstance(decision, DropTrial):
            self.ledger.move_trial(
                decision.identity,
                TrialState.STOPPED_EARLY,
                sweep_id=self.sweep.sweep_id,
                reason=decision.reason,
            )
        elif isinstance(decision, EndSweep):
            assert not self.running
            self.ended = decision
            self.ledger.set_sweep_state(self.sweep.sweep_id, decision.state, decision.reason)
            self.ledger.release_sweep(self.sweep.sweep_id, self.holder)

    def _start(self, decision: StartTrial) -> None:
        workers = next(
            trial.workers for trial in self.sweep.trials if trial.identity == decision.identity
        )
        attempt = self.ledger.claim(
            decision.identity,
            self.sweep.sweep_id,
            self.holder,
            TTL,
            workers,
            retry=decision.retry,
        )
        if attempt is not None:
            total = self.sweep.work_of(decision.identity)
            done = attempt.fraction * total if decision.resume else 0.0
            self.started.append(decision.identity)
            self.running[decision.identity] = Work(attempt, total, self.clock.now, done)

    def _report(self, identity: str, work: Work) -> None:
        seconds = self.clock.now - work.started
        fraction = min(1.0, (work.done + seconds) / work.total)
        failure = work.failure or self.sweep.always_fails.get(identity)
        if failure is not None:
            self.ledger.finish_attempt(
                work.attempt.attempt_id,
                TrialState.FAILED,
                error_kind=failure,
                error_message=self.sweep.says.get(
                    identity, f"{failure} on purpose\nwith a traceback"
                ),
            )
            del self.running[identity]
        elif fraction >= 1.0:
            self._finish(identity, work, TrialState.SUCCEEDED)
        else:
            step = int(fraction * 1000)
            self.ledger.record_report(
                work.attempt.attempt_id,
                TrialReport(
                    step=step,
                    fraction=fraction,
                    seconds=seconds,
                    metrics={"train/loss": 1.0 - fraction},
                    checkpoint=CheckpointReference(step=step, manifest_sha256="0" * 64),
                ),
            )

    def _finish(self, identity: str, work: Work, state: TrialState) -> None:
        seconds = self.clock.now - work.started
        fraction = min(1.0, (work.done + seconds) / work.total)
        finished = state is TrialState.SUCCEEDED
        self.ledger.finish_attempt(
            work.attempt.attempt_id,
            state,
            TrialOutcome(
                finished=finished,
                step=int(fraction * 1000),
                fraction=1.0 if finished else fraction,
                seconds=seconds,
                metrics={METRIC: 0.9} if finished else {},
            ),
        )
        del self.running[identity]
