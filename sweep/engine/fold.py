"""From the ledger's events to a `SweepView`, one event at a time.

The fold takes only what the events say: two folds over the same events give equal views, whoever
makes them and whenever.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from sweep.engine.budget import BudgetState, WallClock
from sweep.engine.plan import PlannedTrial
from sweep.engine.view import Observation, SweepView, TrialStanding
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import Event
from sweep.spec.sweep_spec import BudgetSpec, ObjectiveSpec

DECISIONS_KIND = "decided"
"""Kind under which a driver records `decisions.log_entry` in the ledger."""
_FIRST_ENDS = 3


class SweepFold:
    """What the events so far say of one sweep; feed it the ledger's events in order.

    It needs the events of the sweep and of its trials, whichever sweep executed them; others may
    come along and are left aside.
    """

    def __init__(
        self,
        sweep_id: str,
        trials: Sequence[PlannedTrial],
        *,
        budget: BudgetSpec,
        objective: ObjectiveSpec,
    ) -> None:
        self.sweep_id = sweep_id
        self.seen = 0
        """Last event taken in."""
        self._budget = budget
        self._objective = objective
        self._trials = [_pending(trial, position) for position, trial in enumerate(trials)]
        self._position = {trial.identity: trial.position for trial in self._trials}
        self._unsettled = dict.fromkeys(range(len(self._trials)))
        self._in_flight: dict[int, None] = {}
        self._state = SweepState.PENDING
        self._stop_requested = False
        self._device_seconds = 0.0
        self._wall = WallClock()
        self._executed: set[str] = set()
        self._failures = 0
        self._first_ends: tuple[str, ...] = ()
        self._last_failure = ""
        self._paces: list[float] = []
        self._take: Mapping[str, Callable[[Event], None]] = {
            "sweep_acquired": self._acquired,
            "sweep_released": self._released,
            "sweep_state": self._sweep_state,
            "stop_requested": self._stop,
            "decision": self._decided,
            "attempt_started": self._attempt_started,
            "report": self._report,
            "attempt_finished": self._attempt_ended,
            "attempt_lost": self._attempt_ended,
            "trial_moved": self._trial_moved,
        }

    def apply(self, event: Event) -> None:
        """Take in the next event; one that was taken in before is left aside."""
        if event.seq <= self.seen:
            return
        self.seen = event.seq
        mine = event.sweep_id == self.sweep_id
        known = event.identity in self._position if event.identity is not None else mine
        if known and event.kind in self._take:
            self._take[event.kind](event)
        if mine:
            self._wall.last_sign = event.time

    def apply_all(self, events: Iterable[Event]) -> None:
        """Take in events in order."""
        for event in events:
            self.apply(event)

    def may_run_elsewhere(self, driver: str) -> tuple[str, ...]:
        """Trials in state running that this driver does not run; ask the ledger who lives."""
        trials = (self._trials[position] for position in self._in_flight)
        return tuple(trial.identity for trial in trials if trial.driver != driver)

    def view(self, observation: Observation) -> SweepView:
        """The sweep as these events and this observation show it."""
        trials = self._trials
        in_flight = tuple(trials[position] for position in sorted(self._in_flight))
        return SweepView(
            sweep_id=self.sweep_id,
            budget=self._budget,
            objective=self._objective,
            state=self._state,
            trials=tuple(trials),
            unsettled=tuple([trials[position] for position in self._unsettled]),
            in_flight=in_flight,
            spent=self._spent(in_flight, observation),
            pace=_median(self._paces),
            first_ends=self._first_ends,
            last_failure=self._last_failure,
            stop_requested=self._stop_requested,
            seen=self.seen,
            observation=observation,
        )

    def _spent(self, in_flight: tuple[TrialStanding, ...], observation: Observation) -> BudgetState:
        seconds = self._device_seconds
        devices = 0
        for trial in in_flight:
            if not trial.ours or trial.started is None:
                continue
            if trial.driver == observation.driver:
                seconds += max(0.0, observation.now - trial.started) * trial.workers
                devices += trial.workers
            else:
                # Its driver died; the ledger says what it cost once the trial is taken over.
                seconds += trial.seconds * trial.workers
        return BudgetState(
            device_seconds=seconds,
            wall_seconds=self._wall.seconds(observation.now),
            running_devices=devices,
            trials_started=len(self._executed),
            failures=self._failures,
        )

    # One method per kind of event

    def _acquired(self, event: Event) -> None:
        self._wall.acquire(event.time)
        self._stop_requested = False

    def _released(self, event: Event) -> None:
        self._wall.release(event.time)

    def _sweep_state(self, event: Event) -> None:
        self._state = SweepState(event.payload["state"])
        if self._state is SweepState.RUNNING:
            self._start_anew()

    def _start_anew(self) -> None:
        """Whoever starts a sweep again gives what failed before another chance."""
        self._failures = 0
        self._first_ends = ()
        for trial in self._trials:
            if trial.failures:
                self._put(replace(trial, failures=()))

    def _stop(self, event: Event) -> None:
        del event
        self._stop_requested = True

    def _decided(self, event: Event) -> None:
        if event.payload["kind"] != DECISIONS_KIND:
            return
        for decision in event.payload["decision"]["decisions"]:
            position = self._position.get(decision.get("identity", ""))
            if decision["kind"] == "stop_trial" and position is not None:
                self._put(replace(self._trials[position], stopping=True))

    def _attempt_started(self, event: Event) -> None:
        trial = self._of(event)
        ours = event.sweep_id == self.sweep_id
        if ours:
            self._executed.add(trial.identity)
        self._put(
            replace(
                trial,
                state=TrialState.RUNNING,
                driver=event.payload["driver"],
                started=event.time,
                seconds=0.0,
                ours=ours,
                shared=trial.shared or not ours,
                attempts=trial.attempts + ours,
                claimed=event.seq if ours else trial.claimed,
                stopping=False,
            )
        )

    def _report(self, event: Event) -> None:
        trial, said = self._of(event), event.payload
        self._put(
            replace(
                trial,
                step=said["step"],
                fraction=said["fraction"],
                seconds=said["seconds"],
                metrics={**trial.metrics, **said["metrics"]},
                resumable=trial.resumable or said.get("checkpoint_step") is not None,
            )
        )

    def _attempt_ended(self, event: Event) -> None:
        trial, said = self._of(event), event.payload
        state = TrialState(said["state"])
        failed = state is TrialState.FAILED
        kind = str(said.get("error_kind") or "bug")
        if event.sweep_id == self.sweep_id:
            self._device_seconds += said["device_seconds"]
            trial = replace(trial, device_seconds=trial.device_seconds + said["device_seconds"])
            if event.kind == "attempt_finished":
                self._note_end(kind if failed else "ok", str(said.get("error_message") or ""))
        outcome = said.get("outcome")
        if outcome is not None:
            trial = replace(
                trial,
                step=outcome["step"],
                fraction=outcome["fraction"],
                metrics={**trial.metrics, **outcome["metrics"]},
            )
        trial = replace(
            trial,
            state=state,
            driver=None,
            started=None,
            seconds=0.0,
            ours=False,
            stopping=False,
            failures=(*trial.failures, kind) if failed else trial.failures,
            error_message=said.get("error_message"),
            waiting_since=event.seq,
        )
        self._put(trial)
        if state is TrialState.SUCCEEDED and (pace := _pace(trial)) is not None:
            bisect.insort(self._paces, pace)

    def _note_end(self, end: str, message: str) -> None:
        self._first_ends = (*self._first_ends, end)[:_FIRST_ENDS]
        if end == "ok":
            return
        self._failures += end != "preempted"
        first_line = next(iter(message.strip().splitlines()), "")
        self._last_failure = f"{end}: {first_line}" if first_line else end

    def _trial_moved(self, event: Event) -> None:
        state = TrialState(event.payload["state"])
        self._put(replace(self._of(event), state=state, waiting_since=event.seq))

    def _of(self, event: Event) -> TrialStanding:
        assert event.identity is not None
        return self._trials[self._position[event.identity]]

    def _put(self, trial: TrialStanding) -> None:
        position = trial.position
        self._trials[position] = trial
        if trial.settled:
            self._unsettled.pop(position, None)
        elif position not in self._unsettled:
            self._unsettled = dict.fromkeys(sorted([*self._unsettled, position]))
        if trial.state is TrialState.RUNNING:
            self._in_flight[position] = None
        else:
            self._in_flight.pop(position, None)


def _pending(trial: PlannedTrial, position: int) -> TrialStanding:
    return TrialStanding(
        identity=trial.identity,
        arm=trial.arm,
        seed=trial.seed,
        workers=trial.workers,
        seconds_estimate=trial.seconds_estimate,
        position=position,
    )


def _pace(trial: TrialStanding) -> float | None:
    """Measured over planned device time; None where this sweep did not pay for all of it."""
    planned = trial.seconds_estimate * trial.workers
    if trial.shared or not trial.attempts or planned <= 0 or trial.device_seconds <= 0:
        return None
    return trial.device_seconds / planned


def _median(ordered: Sequence[float]) -> float | None:
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
