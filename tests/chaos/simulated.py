"""Random kills under the simulated clock: `python -m tests.chaos.simulated [--kills N] [--seed S]`.

A driver is killed before or after any write to the ledger, and another takes over. Two kinds:

- *driver alone*: workers outlive it, so nothing is lost but its memory. The broken sweep must
  judge, add and finish the same arms with the same figures at the same simulated times as an
  unbroken one.
- *everything*: what was trained since the last checkpoint is lost and time passes. Everything must
  still be settled, nothing run twice at once, nothing finished lost or trained again, and the log's
  decisions must be those the engine takes again.

Prints what was killed when.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweep.engine.decision_kinds import AddTrials, PromoteArm, StopArm
from sweep.engine.fold import SweepFold
from sweep.engine.growing.rules import make_growth
from sweep.engine.replay import replay
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.records.rows import AttemptView, Event
from sweep.replay.driving import SimulatedDriver
from sweep.replay.planning import ReplayPlan, plan_replay
from sweep.replay.replaying import journal_of, register
from sweep.replay.working import EPOCH, SimulatedClock
from sweep.spec.sweep_spec import SweepSpec
from tests.engine.simulation import open_ledger
from tests.postgresql import postgresql_server
from tests.replay.tables import decisions_in, random_table

WRITES = frozenset(
    {
        "acquire_sweep",
        "set_sweep_state",
        "add_trials",
        "claim",
        "record_report",
        "finish_attempt",
        "move_trial",
        "record_decision",
        "release_sweep",
    }
)
ASHA = {"kind": "asha", "reduction": 3, "first": "1/9"}
KINDS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "rungs": {"scheduler": ASHA},
    "search": {"design": {"kind": "tpe", "trials": 8}},
    "search and rungs": {"design": {"kind": "tpe", "trials": 8}, "scheduler": ASHA},
    "race": {"replicates": {"race": True, "initial": 2, "at_most": 4}},
}


class Killed(BaseException):
    """The driver's process is gone; nothing of it may catch this."""


class Killer:
    """A ledger that ends its driver at the write it is told to."""

    def __init__(self, ledger: Ledger, *, at: int, after: bool) -> None:
        self._ledger = ledger
        self._left = at
        self._after = after
        self.during = ""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- any method of a ledger
        method = getattr(self._ledger, name)
        return self._deadly(name, method) if name in WRITES else method

    def _deadly(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            self._left -= 1
            if self._left == 0 and not self._after:
                self.during = f"before {name}"
                raise Killed
            result = method(*arguments, **named)
            if self._left == 0:
                self.during = f"after {name}"
                raise Killed
            return result

        return call


def plan_of(kind: str, chance: int) -> ReplayPlan:
    """A sweep of this kind on curves of their own."""
    seeds = 4 if kind == "race" else 1
    sections = {"name": "chaos", "replicates": {"seeds": 1}} | KINDS[kind]
    table = random_table(10, seeds=seeds, seed=chance, lost=0.01)
    return plan_replay(SweepSpec.model_validate(sections), table)


def unbroken(plan: ReplayPlan, workers: int) -> SimulatedDriver:
    """The same sweep, left alone."""
    clock = SimulatedClock()
    driver = SimulatedDriver(plan, journal_of(plan, clock), clock, workers=workers)
    driver.run()
    return driver


def course(driver: SimulatedDriver, events: list[Event]) -> dict[str, object]:
    """All of a sweep that must not depend on who drove it."""
    decided = [d for d in decisions_in(events) if isinstance(d, PromoteArm | StopArm | AddTrials)]
    return {
        "judged and added": list(dict.fromkeys(repr(each) for each in decided)),
        "trials": [
            (t.identity, t.arm, t.seed, t.state, t.reached, dict(t.metrics) if t.settled else {})
            for t in driver.view().trials
        ],
    }


def break_it(
    kind: str,
    chance: random.Random,
    ledger: Ledger,
    clock: SimulatedClock,
    say: Callable[[str], None],
) -> int:
    """One sweep, killed until it has ended; how often it was killed."""
    number = chance.randrange(10**6)
    workers = chance.randint(1, 4)
    whole = chance.random() < 0.5
    reference = unbroken(plan_of(kind, number), workers)
    plan = plan_of(kind, number)
    clock.now = EPOCH
    register(plan, ledger)
    kept: dict[str, float] = {}
    finished: set[str] = set()
    ended_at: dict[str, float] = {}
    kills = 0
    while True:
        killer = Killer(
            ledger, at=chance.randint(1, 40) if kills < 12 else 0, after=chance.random() < 0.5
        )
        fresh = plan_of(kind, number)  # another process plans anew
        driver = SimulatedDriver(
            fresh, killer, clock, workers=workers, name=f"driver-{uuid.uuid4().hex}", ttl=0.0
        )
        driver.kept = dict(kept)
        try:
            driver.run()
        except Killed:
            kills += 1
            say(
                f"  {kind:17s} t={clock.now - EPOCH:9.2f} s  killed {killer.during}, "
                f"{'everything' if whole else 'driver alone'}, {len(driver.left_behind())} at work"
            )
            kept = {} if whole else {**driver.kept, **driver.left_behind()}
            ended_at |= {name: when for when, _, name in driver.traces.finished}
            if whole:
                clock.now += chance.uniform(0.0, 60.0)
            done = _succeeded(ledger, plan.sweep_id)
            _require(finished <= done, "something finished was lost")
            finished = done
            continue
        break
    ended_at |= {name: when for when, _, name in driver.traces.finished}
    _check(plan, driver, ledger, finished)
    if not whole:
        journal_events = reference._record.events(limit=None)
        mine = course(driver, ledger.events(limit=None, sweep_id=plan.sweep_id))
        _require(mine == course(reference, journal_events), "the broken sweep went another way")
        for when, _, name in reference.traces.finished:
            off = abs(ended_at.get(name, when) - when)
            _require(off < 1e-6, f"{name[:8]} ended {off:.3g} s off")
    return kills


def _check(plan: ReplayPlan, driver: SimulatedDriver, ledger: Ledger, finished: set[str]) -> None:
    trials = ledger.trials(plan.sweep_id)
    over = {TrialState.SUCCEEDED, TrialState.STOPPED_EARLY, TrialState.FAILED}
    left = [(t.arm, t.seed, t.state.value) for t in trials if t.state not in over]
    _require(not left, f"left undone: {left}")
    _require(finished <= _succeeded(ledger, plan.sweep_id), "something finished was lost")
    _require({t.identity for t in trials} == {t.identity for t in driver.trials}, "trials differ")
    by_trial: dict[str, list[AttemptView]] = {}
    for attempt in ledger.attempts([trial.identity for trial in trials]):
        by_trial.setdefault(attempt.identity, []).append(attempt)
    for attempts in by_trial.values():
        ends = [attempt.ended for attempt in attempts]
        _require(None not in ends, "an attempt was left open")
        for before, later in itertools.pairwise(attempts):
            _require((before.ended or 0.0) <= later.started, "two attempts ran at once")
            _require(before.state != TrialState.SUCCEEDED, "a finished trial was trained again")
    fresh = plan_of_events(plan)
    fold = SweepFold(
        fresh.sweep_id, fresh.trials, fresh.spec, growth=make_growth(fresh.spec, fresh.drawn)
    )
    moments = list(replay(fold, ledger.events(limit=None, sweep_id=plan.sweep_id)))
    _require(all(moment.agrees for moment in moments), "a logged decision is not taken again")


def plan_of_events(plan: ReplayPlan) -> ReplayPlan:
    """The plan once more, with nothing added yet."""
    return plan_replay(plan.spec, plan.table)


def _succeeded(ledger: Ledger, sweep_id: str) -> set[str]:
    return {t.identity for t in ledger.trials(sweep_id) if t.state is TrialState.SUCCEEDED}


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


@contextmanager
def sqlite_ledger(clock: SimulatedClock) -> Iterator[Ledger]:
    """A file that need not survive a power cut."""
    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder), clock) as ledger:
        yield ledger


@contextmanager
def postgresql_ledger(clock: SimulatedClock) -> Iterator[Ledger]:
    """On a server of its own."""
    with postgresql_server() as url, Ledger.open(url, clock=clock) as ledger:
        yield ledger


LEDGERS = {"SQLite": sqlite_ledger, "PostgreSQL": postgresql_ledger}


def rage(
    name: str, *, kills: int, seed: int, say: Callable[[str], None] = lambda text: None
) -> tuple[int, int]:
    """Break sweeps on a ledger until there were so many kills; kills and sweeps."""
    chance = random.Random(f"{name} {seed}")
    clock = SimulatedClock()
    done = sweeps = 0
    while done < kills:
        # A ledger for a few sweeps: each has its own, so that a failure names few.
        with LEDGERS[name](clock) as ledger:
            for kind in KINDS:
                say(f"{name}, sweep {sweeps}: {kind}")
                done += break_it(kind, chance, ledger, clock, say)
                sweeps += 1
                if done >= kills:
                    break
    return done, sweeps


def main() -> int:
    """Rage on both ledgers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="on each ledger")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*LEDGERS], help="one ledger alone")
    asked = parser.parse_args()
    for name in LEDGERS if asked.only is None else [asked.only]:

        def say(text: str) -> None:
            sys.stdout.write(text + "\n")

        kills, sweeps = rage(name, kills=asked.kills, seed=asked.seed, say=say)
        say(f"{name}: {kills} kills in {sweeps} sweeps; all ended as promised")
    return 0


if __name__ == "__main__":
    sys.exit(main())
