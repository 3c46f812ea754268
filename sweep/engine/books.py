"""`Books`: the trials of one sweep as they stand, and the indexes that make a view of them cheap.

Every change of a trial goes through `put`, so queue, counts and rungs are never out of step.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sweep.engine.contest import Contest
from sweep.engine.growing.chronicle import Chronicle
from sweep.engine.growing.growth import Asked, NewTrial
from sweep.engine.view import QueueKey, TrialStanding
from sweep.records.lifecycle import TrialState


class ExpectedTrial(Protocol):
    """What the engine knows of a trial before anything happened to it."""

    @property
    def identity(self) -> str:
        """Name of the training."""
        ...

    @property
    def arm(self) -> str:
        """Name of its arm."""
        ...

    @property
    def seed(self) -> int:
        """Its seed."""
        ...

    @property
    def workers(self) -> float:
        """Devices of its gang."""
        ...

    @property
    def seconds_estimate(self) -> float:
        """Planned wall seconds of the whole training."""
        ...

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training."""
        ...

    @property
    def shrinks(self) -> int:
        """How often its micro batch can be made smaller."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What every trial of an arm is expected to take, as a driver wrote it down."""

    workers: float
    seconds: float
    shrinks: int


class Books:
    """Trials by position, in the order they came."""

    def __init__(self, contest: Contest, chronicle: Chronicle) -> None:
        self.trials: list[TrialStanding] = []
        self.queue: list[QueueKey] = []
        """Those that run or could, in the order to start them."""
        self.contest = contest
        self.chronicle = chronicle
        self.expected: dict[str, Expectation] = {}
        """By arm, as far as drivers have written it down."""
        self._position: dict[str, int] = {}
        self._arms: dict[str, list[int]] = {}
        self._begun: set[str] = set()
        """Arms of which a trial was ever started."""
        self._open: set[int] = set()
        self._keys: dict[int, QueueKey] = {}
        self._in_flight: set[int] = set()
        self._stopped: set[int] = set()
        self._resting: set[int] = set()

    def __contains__(self, identity: str) -> bool:
        return identity in self._position

    def __len__(self) -> int:
        return len(self.trials)

    def of(self, identity: str) -> TrialStanding:
        """A trial by its identity."""
        return self.trials[self._position[identity]]

    def seeds(self, arm: str) -> list[TrialStanding]:
        """All trials of an arm."""
        return [self.trials[position] for position in self._arms[arm]]

    @property
    def arms(self) -> Collection[str]:
        """Names of all arms."""
        return self._arms.keys()

    @property
    def open_trials(self) -> int:
        """For how many something is still to be done."""
        return len(self._open)

    @property
    def in_flight(self) -> tuple[TrialStanding, ...]:
        """Those in state running."""
        return tuple(self.trials[position] for position in sorted(self._in_flight))

    @property
    def stopped(self) -> tuple[TrialStanding, ...]:
        """Those of arms stopped early that are not put aside yet."""
        return tuple(self.trials[position] for position in sorted(self._stopped))

    @property
    def resting(self) -> tuple[TrialStanding, ...]:
        """Those that were put off after a failure."""
        return tuple(self.trials[position] for position in sorted(self._resting))

    def add(self, planned: ExpectedTrial, *, stage: int = 0, registered: bool = True) -> None:
        """Take in a trial to which nothing has happened; one that is there is left aside."""
        if planned.identity in self._position:
            return
        steps = self.contest.steps(planned.total_steps)
        trial = TrialStanding(
            identity=planned.identity,
            arm=planned.arm,
            seed=planned.seed,
            workers=planned.workers,
            seconds_estimate=planned.seconds_estimate,
            position=len(self.trials),
            total_steps=planned.total_steps,
            shrinks=planned.shrinks,
            rung_steps=steps,
            reached=(None,) * len(steps),
            stage=stage,
            registered=registered,
            stopped=any(self.trials[other].stopped for other in self._arms.get(planned.arm, ())),
        )
        self.trials.append(trial)
        self._position[trial.identity] = trial.position
        self._arms.setdefault(trial.arm, []).append(trial.position)
        self.contest.join(trial)
        self.put(trial)

    def put(self, trial: TrialStanding) -> None:
        """A trial stands otherwise now."""
        position = trial.position
        self.trials[position] = trial
        _set(self._in_flight, position, there=trial.state is TrialState.RUNNING)
        _set(self._stopped, position, there=trial.stopped and not trial.settled)
        _set(self._open, position, there=not trial.settled)
        _set(self._resting, position, there=trial.not_before > 0.0 and not trial.settled)
        if trial.state is not TrialState.PENDING and trial.arm not in self._begun:
            self._begun.add(trial.arm)
            for each in self.seeds(trial.arm):
                self._enqueue(each)
        self._enqueue(trial)
        seeds = self.seeds(trial.arm)
        self.contest.refresh(seeds)
        self.chronicle.refresh(seeds)

    def expect(self, arms: Mapping[str, Mapping[str, Any]]) -> None:
        """Take what trials are expected to take from the log, not from the plan of the day."""
        for arm, figures in arms.items():
            if arm not in self._arms:  # an older plan may lack it
                continue
            said = self.expected[arm] = Expectation(**figures)
            for trial in self.seeds(arm):
                self.put(
                    replace(
                        trial,
                        workers=said.workers,
                        seconds_estimate=said.seconds,
                        shrinks=said.shrinks,
                    )
                )

    def unexpected(self, trials: Iterable[ExpectedTrial]) -> dict[str, dict[str, Any]]:
        """What is to be written down of what these trials are expected to take, by arm.

        What is written stays, whatever was measured since, unless machines are laid out otherwise.
        """
        found = {}
        for trial in trials:
            known = self.expected.get(trial.arm)
            if known is None or (known.workers, known.shrinks) != (trial.workers, trial.shrinks):
                found[trial.arm] = {
                    "workers": trial.workers,
                    "seconds": trial.seconds_estimate,
                    "shrinks": trial.shrinks,
                }
        return found

    def promote(self, arm: str, *, rung: int, seq: int) -> None:
        """An arm goes on from a rung."""
        trials = self.seeds(arm)
        if _is_stopped(trials):  # its owner closed it while the engine judged it
            return
        self.contest.decided(trials[0], goes_on=True)
        for trial in trials:
            self.put(replace(trial, target=rung + 1, waiting_since=seq))

    def stop(self, arm: str) -> None:
        """An arm is stopped at the rung it stands at."""
        trials = self.seeds(arm)
        if _is_stopped(trials):
            return
        self.contest.decided(trials[0], goes_on=False)
        for trial in trials:
            self.put(replace(trial, stopped=True))

    def grow(self, decision: Mapping[str, Any]) -> list[NewTrial]:
        """Take in what a logged decision adds; the ledger need not know of it yet."""
        added = [NewTrial(**value) for value in decision["trials"]]
        for trial in added:
            self.add(trial, stage=trial.stage, registered=False)
            self.expected[trial.arm] = Expectation(
                workers=trial.workers, seconds=trial.seconds_estimate, shrinks=trial.shrinks
            )
        if decision["asked"] is not None:
            asked = Asked(**decision["asked"])
            self.chronicle.ask(asked, seen=decision["seen"])
            if asked.arm is not None:
                self.chronicle.refresh(self.seeds(asked.arm))
        return added

    def register(self, payload: Mapping[str, Any], *, seq: int) -> None:
        """The ledger has made trials members of the sweep; other sweeps may have begun some."""
        standings = payload.get("standings", {})
        for identity, *_ in payload["trials"]:
            if identity not in self or self.of(identity).registered:
                continue
            trial = replace(self.of(identity), registered=True, waiting_since=seq)
            known = standings.get(identity)
            if known is not None:
                state = TrialState(known["state"])
                # How it failed is not said: its checkpoint is not to be trusted.
                spoiled = state is TrialState.FAILED
                trial = replace(trial, **{**known, "state": state}, shared=True, spoiled=spoiled)
            self.put(trial)

    def withdraw(self, arm: str) -> None:
        """An arm is stopped by whoever owns the sweep, wherever it stands; what is done stays.

        Also one that is over: no seed of it is tried again or added later.
        """
        trials = self.seeds(arm)
        if _is_stopped(trials):
            return
        if not all(trial.settled for trial in trials):
            self.contest.withdrawn(trials[0])
        for trial in trials:
            self.put(replace(trial, stopped=True))

    def _enqueue(self, trial: TrialStanding) -> None:
        """Put a trial where it belongs among those that run or could."""
        key = self._keys.pop(trial.position, None)
        if key is not None:
            del self.queue[bisect.bisect_left(self.queue, key)]
        if trial.settled or trial.stopped or trial.at_rung or not trial.registered:
            return
        if trial.state is TrialState.RUNNING:
            # If its driver died, it goes on before anything else is begun.
            key = (-len(trial.rung_steps) - 1, False, trial.position)
        elif not trial.rung_steps:
            key = (0, False, trial.position)  # plan order: seeds outermost, for balance
        else:
            key = (-trial.target, trial.arm not in self._begun, trial.position)
        self._keys[trial.position] = key
        bisect.insort(self.queue, key)


def _is_stopped(trials: Collection[TrialStanding]) -> bool:
    return any(trial.stopped for trial in trials)


def _set(positions: set[int], position: int, *, there: bool) -> None:
    (positions.add if there else positions.discard)(position)
