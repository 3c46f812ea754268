"""`SimulatedDriver`: carries out the engine's decisions on recorded curves, from event to event.

The clock jumps to whatever happens next: a rung, an end, a limit of the budget. Nothing else
differs from a real driver: it reads the record's new events before every decision, and writes each
decision down before carrying it out.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sweep.engine.decision_kinds import (
    AddTrials,
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
from sweep.engine.growing.growth import NewTrial
from sweep.engine.growing.rules import make_growth
from sweep.engine.view import Observation, SweepView
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import Holder
from sweep.replay.journal import SweepRecord
from sweep.replay.planning import RecordedTrial, ReplayPlan
from sweep.replay.working import SimulatedClock, Work, trial_rows
from trainer.reporting import CheckpointReference, TrialOutcome, TrialReport

TICK_SECONDS = 1e-3
"""Shortest wait for a limit: a clock in seconds since 1970 cannot tell much less apart."""
FOREVER = 1e12
"""For so long a driver is not held for dead."""
_DIGEST = "0" * 64
"""Recorded curves have no checkpoint files to be named by content."""


@dataclass(slots=True)
class Traces:
    """What a sweep did, by simulated time."""

    finished: list[tuple[float, float, str]] = field(default_factory=list)
    """Time, device-seconds spent until then, identity of the trial that reached its end."""
    started: list[tuple[float, str]] = field(default_factory=list)
    decisions: int = 0


class SimulatedDriver:
    """Drives one sweep on a number of workers until it ends."""

    def __init__(
        self,
        plan: ReplayPlan,
        record: SweepRecord,
        clock: SimulatedClock,
        *,
        workers: int,
        name: str = "simulated",
        ttl: float = FOREVER,
    ) -> None:
        self.ended: EndSweep | None = None
        self.traces = Traces()
        self.kept: dict[str, float] = {}
        """Where on its curve a trial goes on although no checkpoint says so: its workers outlived
        the driver before this one."""
        self.slowness: Callable[[str, int], float] = lambda identity, attempt: 1.0
        """By identity and number of an attempt, times the seconds its curve says: stragglers."""
        self.fold = SweepFold(
            plan.sweep_id, plan.trials, plan.spec, growth=make_growth(plan.spec, plan.drawn)
        )
        self._plan = plan
        self._record = record
        self._clock = clock
        self._workers = workers
        self._ttl = ttl
        self._holder = Holder(driver=name, pid=0, host="simulated")
        self._trials: dict[str, RecordedTrial] = {t.identity: t for t in plan.trials}
        self._running: dict[str, Work] = {}
        self._working: dict[int, Work] = {}
        """The same by attempt: a trial that went on has several, of which one runs."""
        self._agenda: list[tuple[float, int, int, int]] = []
        """Time, order among equals, attempt, step."""
        self._ties = itertools.count()
        self._key = plan.spec.objective.key
        self._wake: float | None = None

    def run(self, *, on_step: Callable[[], None] = lambda: None) -> EndSweep:
        """Until the sweep has ended; `on_step` is called before every jump of the clock.

        Returns:
            How it ended.
        """
        self.begin()
        while self.ended is None:
            on_step()
            self.step()
        return self.ended

    def begin(self) -> None:
        """Take the sweep and start what may start."""
        sweep_id = self._plan.sweep_id
        self._record.acquire_sweep(sweep_id, self._holder, self._ttl)
        self.view()
        self._take_in(self.fold.added)  # a driver may have died between deciding and adding
        self._record.set_sweep_state(sweep_id, SweepState.RUNNING)
        self._look()

    def step(self) -> None:
        """Jump to the next thing that happens and look again."""
        self._skip_what_is_over()
        due = [moment for moment in (self._wake, self._next_time()) if moment is not None]
        if not due:
            raise RuntimeError(f"sweep {self._plan.sweep_id} waits for nothing: {self.fold.seen}")
        self._clock.now = max(self._clock.now, min(due))
        if self._agenda and self._agenda[0][0] <= self._clock.now:
            _, _, attempt_id, step = heapq.heappop(self._agenda)
            self._report(self._working[attempt_id], step)
        self._look()

    @property
    def trials(self) -> tuple[RecordedTrial, ...]:
        """Every trial of the sweep, those it has added included."""
        return tuple(self._trials.values())

    def left_behind(self) -> dict[str, float]:
        """Where on their curves the trials at work are: what is lost if this driver dies now."""
        return {name: work.seconds_by(self._clock.now) for name, work in self._running.items()}

    def view(self) -> SweepView:
        """What the driver sees now."""
        sweep_id = self._plan.sweep_id
        while events := self._record.events(self.fold.seen, 1000, sweep_id=sweep_id):
            self.fold.apply_all(events)
        return self.fold.view(
            Observation(now=self._clock.now, capacity=self._workers, driver=self._holder.driver)
        )

    def _look(self) -> None:
        while self.ended is None:
            view = self.view()
            decisions = decide(view)
            if all(isinstance(decision, Wait) for decision in decisions):
                waits = [each.until for each in decisions if isinstance(each, Wait)]
                soonest = self._clock.now + TICK_SECONDS
                self._wake = max(soonest, waits[0]) if waits and waits[0] is not None else None
                return
            self.traces.decisions += len(decisions)
            entry = log_entry(view, decisions)
            self._record.record_decision(self._plan.sweep_id, DECISIONS_KIND, entry)
            for decision in decisions:
                self._do(decision)

    def _do(self, decision: Decision) -> None:
        if isinstance(decision, StartTrial):
            self._start(decision)
        elif isinstance(decision, StopTrial):
            self._pause(self._running[decision.identity])
        elif isinstance(decision, DropTrial):
            self._record.move_trial(
                decision.identity,
                TrialState.STOPPED_EARLY,
                sweep_id=self._plan.sweep_id,
                reason=decision.reason,
            )
        elif isinstance(decision, AddTrials):
            self._take_in(decision.trials)
        elif isinstance(decision, EndSweep):
            self.ended = decision
            sweep_id = self._plan.sweep_id
            self._record.set_sweep_state(sweep_id, decision.state, decision.reason)
            self._record.release_sweep(sweep_id, self._holder)

    def _take_in(self, added: Sequence[NewTrial]) -> None:
        """Make trials that join the sweep known here and in the record."""
        if not added:
            return
        drawn = self._plan.drawn
        trials = []
        for new in added:
            drawn.trial(new.point, seed=new.seed, stage=new.stage)
            trials.append(drawn.recorded(new))
        self._trials |= {trial.identity: trial for trial in trials}
        self._record.add_trials(
            self._plan.sweep_id,
            arms=[drawn.arm_row(arm) for arm in dict.fromkeys(new.arm for new in added)],
            trials=trial_rows(trials, self._plan.table),
        )

    def _start(self, decision: StartTrial) -> None:
        trial = self._trials[decision.identity]
        attempt = self._record.claim(
            trial.identity,
            self._plan.sweep_id,
            self._holder,
            self._ttl,
            trial.workers,
            retry=decision.retry,
        )
        if attempt is None:
            return
        from_step = attempt.resume_from.step if attempt.resume_from and decision.resume else 0
        kept = self.kept.pop(trial.identity, None)
        rungs = self.fold.trial(trial.identity).rung_steps
        work = Work(
            attempt=attempt,
            trial=trial,
            started=self._clock.now,
            from_seconds=trial.curve.seconds_at(from_step) if kept is None else kept,
            told=from_step,
            slowness=self.slowness(trial.identity, attempt.number),
            stops=tuple(step for step in (*rungs, trial.total_steps) if step > from_step),
        )
        self._running[trial.identity] = self._working[attempt.attempt_id] = work
        self.traces.started.append((self._clock.now, trial.identity))
        self._await(work, work.stops[0])

    def _await(self, work: Work, step: int) -> None:
        moment = work.time_of(step)
        entry = (moment, next(self._ties), work.attempt.attempt_id, step)
        heapq.heappush(self._agenda, entry)

    def _report(self, work: Work, step: int) -> None:
        """What the curve says at a step; a figure that was lost is a training that diverged."""
        value = work.trial.curve.value_at(step)
        if not math.isfinite(value):
            self._end(work, TrialState.FAILED, step, None)
        elif step < work.trial.total_steps:
            self._tell(work, step, {self._key: value})
            self._await(work, next(each for each in work.stops if each > step))
        else:
            self._end(work, TrialState.SUCCEEDED, step, value)
            spent = self.view().spent.device_seconds
            self.traces.finished.append((self._clock.now, spent, work.trial.identity))

    def _tell(self, work: Work, step: int, metrics: dict[str, float]) -> None:
        work.told = step
        self._record.record_report(
            work.attempt.attempt_id,
            TrialReport(
                step=step,
                fraction=step / work.trial.total_steps,
                seconds=self._clock.now - work.started,
                metrics=metrics,
                checkpoint=CheckpointReference(step=step, manifest_sha256=_DIGEST),
            ),
        )

    def _pause(self, work: Work) -> None:
        """Checkpoint and end, wherever it is."""
        step = max(work.told, work.step_by(self._clock.now))
        if step > work.told:
            self._tell(work, step, {})
        self._end(work, TrialState.PAUSED, step, None)

    def _end(self, work: Work, state: TrialState, step: int, value: float | None) -> None:
        if state is TrialState.FAILED:
            message = f"the recorded figure at step {step} is not finite"
            self._record.finish_attempt(
                work.attempt.attempt_id, state, error_kind="diverged", error_message=message
            )
        else:
            self._record.finish_attempt(
                work.attempt.attempt_id,
                state,
                TrialOutcome(
                    finished=state is TrialState.SUCCEEDED,
                    step=step,
                    fraction=min(1.0, step / work.trial.total_steps),
                    seconds=self._clock.now - work.started,
                    metrics={} if value is None else {self._key: value},
                ),
            )
        # Only now: who dies in between leaves a trial at work behind.
        del self._running[work.trial.identity], self._working[work.attempt.attempt_id]

    def _next_time(self) -> float | None:
        return self._agenda[0][0] if self._agenda else None

    def _skip_what_is_over(self) -> None:
        """Forget what paused trials would have said."""
        while self._agenda:
            if self._agenda[0][2] in self._working:
                return
            heapq.heappop(self._agenda)
