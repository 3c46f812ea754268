"""From the ledger's events to a `SweepView`, one event at a time.

The fold takes only what the events say: two folds over the same events give equal views, whoever
makes them and whenever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sweep.engine import trial_events
from sweep.engine.books import Books, ExpectedTrial
from sweep.engine.budgets.budget import BudgetState, verdict
from sweep.engine.budgets.tally import Tally
from sweep.engine.contest import Contest
from sweep.engine.growing.chronicle import Chronicle, objective_keys
from sweep.engine.growing.growth import Growth, NewTrial, NoGrowth
from sweep.engine.view import Observation, SweepView, TrialStanding
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import Event
from sweep.spec.design_spec import StagedDesign
from sweep.spec.sweep_spec import BudgetSpec, SweepSpec

DECISIONS_KIND = "decided"
"""Kind under which a driver records `decisions.log_entry` in the ledger."""
PLACED_KIND = "placed"
"""Kind under which a driver records which machines an attempt was first heard from."""
LEAVING_KIND = "leaving"
"""Kind under which a driver records that an attempt ends because its machine is taken away."""
NOTED_KIND = "noted"
"""Kind under which a driver records what an attempt had to say besides figures."""
EXPECTED_KIND = "expected"
"""Kind under which a driver records what it expects trials to take, before it decides by that."""

_ANYBODYS = frozenset(
    {"arm_stop_requested", "attempt_lost", "budget_set", "stop_requested", "trials_added"}
)
"""Kinds of event that are no sign of its driver: its owner or another driver writes them."""


class SweepFold:
    """What the events so far say of one sweep; feed it the ledger's events in order.

    It needs the events of the sweep and of its trials, whichever sweep executed them; others may
    come along and are left aside.
    """

    def __init__(
        self,
        sweep_id: str,
        trials: Sequence[ExpectedTrial],
        spec: SweepSpec,
        *,
        growth: Growth | None = None,
    ) -> None:
        self.sweep_id = sweep_id
        self.seen = 0
        """Last event taken in."""
        self._spec = spec
        self._budget = spec.budget
        self._tally = Tally()
        sign = 1.0 if spec.objective.mode == "max" else -1.0
        self._growth = growth or NoGrowth()
        chronicle = Chronicle(objective_keys(spec))
        self._books = Books(Contest(spec.scheduler.rungs, sign=sign), chronicle)
        self.added: list[NewTrial] = []
        """Trials it was decided to add, whether or not the ledger was told of them."""
        self._state = SweepState.PENDING
        self._stop_requested = False
        self._told: set[tuple[str, str]] = set()
        """Which limits were told of, and how."""
        design = spec.design
        self._stages = (
            tuple(stage.name for stage in design.stages) if isinstance(design, StagedDesign) else ()
        )
        self._take: Mapping[str, Callable[[Event], None]] = {
            "sweep_acquired": self._acquired,
            "sweep_released": self._released,
            "sweep_state": self._sweep_state,
            "stop_requested": self._stop,
            "arm_stop_requested": self._stop_arm,
            "sweep_registered": self._set_budget,
            "budget_set": self._set_budget,
            "decision": self._decided,
            "attempt_started": self._attempt_started,
            "report": self._report,
            "attempt_finished": self._attempt_ended,
            "attempt_lost": self._attempt_ended,
            "trial_moved": self._trial_moved,
            "trials_added": self._trials_added,
        }
        self._carry_out: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "stop_trial": self._told_to_stop,
            "promote_arm": self._promoted,
            "stop_arm": self._arm_stopped,
            "close_arm": self._closed,
            "drop_trial": self._dropped,
            "add_trials": self._asked_to_add,
            "warn": self._was_told,
            "drain": self._was_told,
        }
        for trial in trials:
            self._books.add(trial)

    def apply(self, event: Event) -> None:
        """Take in the next event; one that was taken in before is left aside."""
        if event.seq <= self.seen:
            return
        self.seen = self._books.chronicle.now = event.seq
        mine = event.sweep_id == self.sweep_id
        known = event.identity in self._books if event.identity is not None else mine
        if known and event.kind in self._take:
            self._take[event.kind](event)
        if mine and self._is_sign(event):
            self._tally.wall.last_sign = event.time

    def apply_all(self, events: Iterable[Event]) -> None:
        """Take in events in order."""
        for event in events:
            self.apply(event)

    def may_run_elsewhere(self, driver: str) -> tuple[str, ...]:
        """Trials in state running that this driver does not run; ask the ledger who lives."""
        return tuple(each.identity for each in self._books.in_flight if each.driver != driver)

    def unexpected(self, trials: Iterable[ExpectedTrial]) -> dict[str, dict[str, Any]]:
        """As `Books.unexpected`."""
        return self._books.unexpected(trials)

    def trial(self, identity: str) -> TrialStanding:
        """Where a trial stands after these events."""
        return self._books.of(identity)

    @property
    def last_sign(self) -> float:
        """When a driver of the sweep last wrote something, in seconds since 1970."""
        return self._tally.wall.last_sign

    def view(self, observation: Observation) -> SweepView:
        """The sweep as these events and this observation show it."""
        books, tally = self._books, self._tally
        in_flight, limits_arms = books.in_flight, self._budget.limits_arms
        spent = tally.spent(in_flight, observation)
        return SweepView(
            sweep_id=self.sweep_id,
            budget=self._budget,
            objective=self._spec.objective,
            scheduler=self._spec.scheduler,
            state=self._state,
            trials=tuple(books.trials),
            queue=tuple(books.queue),
            in_flight=in_flight,
            resting=books.resting,
            stopped=books.stopped,
            open_trials=books.open_trials,
            rungs=books.contest.standings(self._arms_to_come(spent)),
            history=books.chronicle.history,
            growth=self._growth,
            spent=spent,
            stages=self._stages,
            spent_by_stage=tally.spent_by_stage(in_flight, observation) if self._stages else {},
            spent_by_arm=tally.spent_by_arm(in_flight, observation) if limits_arms else {},
            told=frozenset(self._told),
            pace=self._tally.pace,
            first_ends=self._tally.first_ends,
            last_failure=self._tally.last_failure,
            stop_requested=self._stop_requested,
            seen=self.seen,
            observation=observation,
        )

    def _arms_to_come(self, spent: BudgetState) -> int:
        """Arms that will still join: none once budget or stop let nothing more begin."""
        left = max(0, self._growth.arms_asked - self._books.chronicle.asked)
        if self._stop_requested or (left and verdict(self._budget, spent).allowance != "go"):
            return 0
        return left

    def _is_sign(self, event: Event) -> bool:
        """Whether a driver wrote it: a report is made, and a submission ends, without one."""
        if event.kind == "decision":
            return bool(event.payload["kind"] == DECISIONS_KIND)
        return event.kind in self._take and event.kind not in _ANYBODYS

    # One method per kind of event

    def _acquired(self, event: Event) -> None:
        self._tally.wall.acquire(event.time)
        self._stop_requested = False
        # The driver before may have died between deciding to put a trial aside and doing it.
        for trial in self._books.trials:
            if trial.dropped and trial.state in (TrialState.PAUSED, TrialState.RUNNING):
                self._books.put(replace(trial, dropped=False))

    def _released(self, event: Event) -> None:
        self._tally.wall.release(event.time)
        if event.payload.get("interrupted"):  # by somebody who may have made room meanwhile
            for trial in self._books.resting:
                self._books.put(replace(trial, not_before=0.0))

    def _sweep_state(self, event: Event) -> None:
        self._state = SweepState(event.payload["state"])
        if self._state is SweepState.RUNNING:
            self._tally.start_anew()
            for trial in self._books.trials:
                if trial.failures:
                    self._books.put(
                        replace(trial, failures=(), setbacks=0, losses=0, not_before=0.0)
                    )

    def _stop(self, _: Event) -> None:
        self._stop_requested = True

    def _stop_arm(self, event: Event) -> None:
        if event.payload["arm"] in self._books.arms:  # an older plan may lack it
            self._books.withdraw(event.payload["arm"])

    def _set_budget(self, event: Event) -> None:
        # What it may spend is what was known then, so that earlier decisions can be taken again.
        budget = event.payload.get("budget")
        if budget:
            self._budget = BudgetSpec.model_validate(budget)
            self._told.clear()  # another limit is told of anew

    def _decided(self, event: Event) -> None:
        said = event.payload["decision"]
        if event.payload["kind"] == PLACED_KIND and said["identity"] in self._books:
            self._books.put(trial_events.placed(self._books.of(said["identity"]), said))
        if event.payload["kind"] == EXPECTED_KIND:
            self._books.expect(said["arms"])
        if event.payload["kind"] == DECISIONS_KIND:
            for decision in said["decisions"]:
                carry_out = self._carry_out.get(decision["kind"])
                if carry_out is not None:
                    carry_out({**decision, "seen": said["seen"], "seq": event.seq})

    def _attempt_started(self, event: Event) -> None:
        trial = self._of(event)
        ours = event.sweep_id == self.sweep_id
        if ours:
            self._tally.begin(trial, event.time)
        self._books.put(trial_events.started(trial, event, ours=ours))

    def _report(self, event: Event) -> None:
        key = self._spec.objective.key
        self._books.put(trial_events.reported(self._of(event), event.payload, key=key))

    def _attempt_ended(self, event: Event) -> None:
        trial, said = self._of(event), event.payload
        ours = event.sweep_id == self.sweep_id
        if ours:
            self._tally.pay(trial, said["device_seconds"])
        over = trial_events.ended(trial, event, ours=ours)
        self._books.put(over)
        if ours and event.kind == "attempt_finished":
            self._tally.note_end(trial, said, faults=over.faults - trial.faults)
        if over.state is TrialState.SUCCEEDED:
            self._tally.note_success(over)

    def _trial_moved(self, event: Event) -> None:
        state = TrialState(event.payload["state"])
        self._books.put(replace(self._of(event), state=state, waiting_since=event.seq))

    # One method per kind of decision that changes what follows

    def _told_to_stop(self, decision: Mapping[str, Any]) -> None:
        if decision["identity"] in self._books:
            self._books.put(replace(self._books.of(decision["identity"]), stopping=True))

    def _promoted(self, decision: Mapping[str, Any]) -> None:
        self._books.promote(decision["arm"], rung=decision["rung"], seq=decision["seq"])

    def _arm_stopped(self, decision: Mapping[str, Any]) -> None:
        self._books.stop(decision["arm"])

    def _closed(self, decision: Mapping[str, Any]) -> None:
        self._books.withdraw(decision["arm"])

    def _dropped(self, decision: Mapping[str, Any]) -> None:
        self._books.put(replace(self._books.of(decision["identity"]), dropped=True))

    def _was_told(self, decision: Mapping[str, Any]) -> None:
        self._told.add((decision["kind"], decision["limit"]))

    def _asked_to_add(self, decision: Mapping[str, Any]) -> None:
        self.added += self._books.grow(decision)

    def _trials_added(self, event: Event) -> None:
        self._books.register(event.payload, seq=event.seq)

    def _of(self, event: Event) -> TrialStanding:
        assert event.identity is not None
        return self._books.of(event.identity)
