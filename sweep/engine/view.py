"""`SweepView`: what the engine sees of one sweep at one moment; decisions depend on it alone.

Two drivers that see the same ledger prefix at the same time, with the same devices, hold equal
views. Nothing here is ever changed in place.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sweep.engine.budgets.budget import BudgetState
from sweep.engine.growing.growth import Growth, History, NoGrowth
from sweep.engine.rungs import RungStanding
from sweep.records.lifecycle import SweepState, TrialState
from sweep.spec.objective_spec import ObjectiveSpec
from sweep.spec.scheduler_spec import NoScheduler, SchedulerSpec
from sweep.spec.sweep_spec import BudgetSpec

QueueKey = tuple[int, bool, int]
"""Furthest rung first, then arms that were begun, then plan order."""

PREEMPTED = "preempted"
"""A machine that was taken away."""
DISK_FULL = "disk_full"
"""No space was left on its machine."""
DAMAGED = "damaged"
"""No checkpoint that could be gone on from is whole: the trial begins afresh."""
COMMUNICATION = "communication"
"""A rank or its actor vanished, or a collective or a service did not answer in time."""
RETRYABLE_KINDS = frozenset({COMMUNICATION, DAMAGED, DISK_FULL, PREEMPTED})
"""Failures that say something of the machine, not of the trial."""
OUT_OF_MEMORY = "out_of_memory"
"""A failure that a smaller micro batch may cure."""
OF_THE_PLACE = RETRYABLE_KINDS - {DAMAGED}
"""... after which it is tried on another one: a checkpoint is damaged anywhere."""
HARMLESS_KINDS = OF_THE_PLACE | {OUT_OF_MEMORY}
"""Failures before which a checkpoint was as good as any."""
ROUNDING = 1e-9
"""Of parts of devices that are added up."""
MAX_OVERTAKES = 8
"""Smaller gangs that may start before a large one that waits for its devices."""
MAX_RETRIES = 3
"""Further attempts a trial gets after machines failed it, counted anew when it gets further than
ever: one that trains for days on machines that come and go is lost often and is not at fault."""
MAX_LOSSES = 10
"""The same for machines that were taken away, which come on top. Not without end: a trial whose
memory has its actor killed is told as one whose machine is gone."""
PAUSES: Mapping[str, tuple[float, ...]] = {
    PREEMPTED: (5.0, 20.0, 60.0, 180.0, 300.0),
    COMMUNICATION: (5.0, 20.0, 60.0),
    DISK_FULL: (30.0, 120.0, 480.0),
}
"""Seconds before the attempts after a failure of a machine, by its kind; the last one repeats.
What fails a machine lasts longer than a try: four tries in 90 s were over before it was."""
LONGEST_PAUSE = max(itertools.chain.from_iterable(PAUSES.values()))


class AttemptEnd(NamedTuple):
    """How an attempt ended."""

    kind: str
    """`ok`, or a failure's."""
    cause: str = ""
    """Fingerprint of the failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStanding:
    """Where one trial of the sweep stands."""

    identity: str
    arm: str
    seed: int
    workers: float
    """Devices of its gang; a part of one where trials share it."""
    seconds_estimate: float
    """Planned wall seconds of the whole training."""
    position: int
    """In the order of the plan."""
    total_steps: int = 1
    """Optimizer steps of the whole training."""
    state: TrialState = TrialState.PENDING
    driver: str | None = None
    """Who runs it; None when it does not run."""
    node: str = ""
    """Machine the running attempt was last heard from; empty before it began."""
    machines: tuple[str, ...] = ()
    """All its gang lies on, by Ray's ids; none before it began."""
    failed_on: frozenset[str] = frozenset()
    """Machines its attempts failed on, under whichever driver."""
    started: float | None = None
    """When the running attempt began."""
    seconds: float = 0.0
    """Wall time of the running attempt, as last reported."""
    fraction: float = 0.0
    """Of the training done, as last reported."""
    step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    resumable: bool = False
    """A complete checkpoint is known."""
    spoiled: bool = False
    """... and was written before a bug or a divergence: it would only lead there again."""
    attempts: int = 0
    """Attempts of this sweep."""
    shared: bool = False
    """Another sweep has executed it, wholly or in part."""
    ours: bool = False
    """The running attempt is paid for by this sweep."""
    failures: tuple[str, ...] = ()
    """Kinds of its failed attempts since the sweep was last started."""
    furthest: int = 0
    """Step of its latest report but for those that repeat what an earlier attempt had done."""
    setbacks: int = 0
    """Times machines failed it since it last got further, or since the sweep was last started."""
    losses: int = 0
    """... of which so many by being taken away."""
    not_before: float = 0.0
    """Time until which it is not tried again, so that what failed its machine may pass."""
    error_message: str | None = None
    device_seconds: float = 0.0
    """Cost of its ended attempts that this sweep paid for."""
    stopping: bool = False
    """The running attempt was told to stop."""
    waiting_since: int = 0
    """Event with which it last became able to start."""
    claimed: int = 0
    """Event with which this sweep last claimed it; 0 when it never did."""
    stage: int = 0
    """Number of the stage its arm competes in."""
    registered: bool = True
    """The ledger knows it as a trial of this sweep."""
    rung_steps: tuple[int, ...] = ()
    """Steps of its rungs, rising; none when nothing is stopped early."""
    reached: tuple[float | None, ...] = ()
    """The objective at each rung; None where it has not been told."""
    target: int = 0
    """Rung it may train to; from the number of rungs on, its end."""
    shrinks: int = 0
    """How often its micro batch can be made smaller."""
    stopped: bool = False
    """This sweep stopped its arm early."""
    dropped: bool = False
    """... and has put it aside."""

    def rest(self, now: float) -> float:
        """Seconds until it may be tried again; longer than any pause is a clock set back."""
        left = self.not_before - now
        return left if 0 < left <= LONGEST_PAUSE else 0.0

    @property
    def given_up(self) -> bool:
        """Failed, and not to be tried again before the sweep is started anew."""
        if self.state is not TrialState.FAILED:
            return False
        of_machine = sum(kind in RETRYABLE_KINDS for kind in self.failures)
        final = of_machine + self.ran_out < len(self.failures)
        worn_out = self.setbacks - self.losses > MAX_RETRIES or self.losses > MAX_LOSSES
        return final or worn_out or self.ran_out > self.shrinks

    @property
    def ran_out(self) -> int:
        """How often it ran out of memory since the sweep was last started."""
        return self.failures.count(OUT_OF_MEMORY)

    @property
    def faults(self) -> int:
        """Failures of its own: not machines taken away, nor memory that smaller batches free."""
        return len(self.failures) - self.failures.count(PREEMPTED) - min(self.ran_out, self.shrinks)

    @property
    def resumes(self) -> bool:
        """Whether its next attempt goes on from a checkpoint."""
        return self.resumable and not self.spoiled

    @property
    def kept(self) -> float:
        """Fraction of its training that need not be done again."""
        return self.fraction if self.resumes or self.state is TrialState.RUNNING else 0.0

    @property
    def settled(self) -> bool:
        """Nothing more is to be done for it."""
        return self.state is TrialState.SUCCEEDED or self.given_up or self.dropped

    @property
    def at_rung(self) -> bool:
        """It has come as far as it may, and waits for its arm to be judged."""
        return self.target < len(self.reached) and self.reached[self.target] is not None

    @property
    def goal(self) -> float:
        """Fraction of its training it may reach by now."""
        if self.target >= len(self.rung_steps):
            return 1.0
        return self.rung_steps[self.target] / max(1, self.total_steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a driver knows that no event tells; logged with every decision taken on it."""

    now: float
    """Seconds since 1970."""
    capacity: int
    """Devices the sweep may use at once, busy ones included."""
    driver: str
    """Who asks."""
    held_elsewhere: frozenset[str] = frozenset()
    """Trials that run under another living driver; what the dead left running is taken over."""
    capacity_may_grow: bool = False
    """Whether a gang too large for the devices may still get them later."""
    owed: int = 0
    """Devices in use that sweeps of higher priority wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepView:
    """One sweep at one moment, as `SweepFold.view` makes it."""

    sweep_id: str
    budget: BudgetSpec
    objective: ObjectiveSpec
    scheduler: SchedulerSpec = field(default_factory=NoScheduler)
    state: SweepState
    trials: tuple[TrialStanding, ...]
    """In plan order, like those below."""
    queue: tuple[QueueKey, ...]
    """Those that run or could, in the order to start them; the last figure is the position."""
    in_flight: tuple[TrialStanding, ...]
    """Those in state running, whoever runs them."""
    resting: tuple[TrialStanding, ...] = ()
    """Those that were put off after a failure, whether or not their time has come."""
    stopped: tuple[TrialStanding, ...] = ()
    """Those of arms stopped early that are not put aside yet."""
    open_trials: int
    """For how many something is still to be done."""
    rungs: tuple[RungStanding, ...] = ()
    """Who has reached which rung; empty when nothing is stopped early."""
    history: History = ()
    """What a sampler was asked and told; empty unless the design searches."""
    growth: Growth = field(default_factory=NoGrowth, compare=False)
    """By which rule the sweep grows."""
    spent: BudgetState
    stages: tuple[str, ...] = ()
    """Names of the stages of a staged design."""
    spent_by_stage: Mapping[int, BudgetState] = field(default_factory=dict)
    """Of the stages that have begun, by number."""
    spent_by_arm: Mapping[str, BudgetState] = field(default_factory=dict)
    """Of the arms that have begun, where arms have budgets of their own."""
    told: frozenset[tuple[str, str]] = frozenset()
    """What the log says of limits already: `warn` or `drain`, and the limit."""
    pace: float | None
    """Measured over planned device time, median of the trials finished here; None before any."""
    first_ends: tuple[AttemptEnd, ...]
    """How the first attempts since the sweep was last started ended."""
    last_failure: str
    """Kind and first line of the last failure; empty when there was none."""
    stop_requested: bool
    seen: int
    """Last event that is in this view."""
    observation: Observation
    max_overtakes: int = MAX_OVERTAKES
    """Smaller gangs that may start before a large one that waits for its devices."""

    @property
    def unsettled(self) -> tuple[TrialStanding, ...]:
        """Those for which something is still to be done."""
        return tuple(trial for trial in self.trials if not trial.settled)

    @property
    def running_here(self) -> tuple[TrialStanding, ...]:
        """Trials this driver runs for this sweep."""
        driver = self.observation.driver
        return tuple(trial for trial in self.in_flight if trial.ours and trial.driver == driver)

    @property
    def devices(self) -> int:
        """Devices it may use at once: what there is, or its own cap."""
        cap = self.budget.devices
        capacity = self.observation.capacity
        return capacity if cap is None else min(cap, capacity)

    def startable(self, trial: TrialStanding) -> bool:
        """Whether this driver may run it now, devices and budget aside."""
        if trial.state is TrialState.RUNNING and not trial.stopped:
            held = trial.identity in self.observation.held_elsewhere
            return not held and trial.driver != self.observation.driver
        rests = trial.rest(self.observation.now) > 0
        return trial.registered and not (trial.settled or trial.stopped or trial.at_rung or rests)
