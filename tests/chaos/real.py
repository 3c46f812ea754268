"""Real `kill -9` under real trainings: `python -m tests.chaos.real [--kills N] [--seed S]`.

A sweep of six tiny trainings, two of them gangs of two ranks, is driven through Ray. Again and
again a process is killed while it works: the driver, the actor that holds a trial, a rank, or Ray's
own raylet. A driver that is gone is started anew, as a user would. In the end, on either ledger:

- every trial has succeeded, and with the figures it has in a sweep that was left alone;
- no identity had two attempts at once, nor one after it had succeeded;
- nothing that had finished was lost, and attempts went on from checkpoints the ledger had.

Prints what was killed when. The processes it kills are those of its own drivers' sessions.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from infra.object_store import open_store
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import AttemptView, TrialView
from tests.chaos.drive import settings_of, sweep
from tests.chaos.drivers import Drivers
from tests.postgresql import postgresql_server

RAYLET_SECONDS = 180.0
"""Without its raylet a driver leaves by itself, on the busiest machine in this time."""
PATIENCE = 900.0
"""Seconds without a victim or an end, before a sweep counts as hung."""
NAMES = {"driver": "the driver", "actor": "an actor", "rank": "a rank", "raylet": "the raylet"}
Say = Callable[[str], None]


def rage(name: str, ledger_url: str, home: Path, *, kills: int, seed: int, say: Say) -> None:
    """Kill so often under one sweep, then let it end, and check what is left.

    The kills are spread over the sweep: the later ones wait until trials have finished, for what
    has finished must outlive them.

    Raises:
        AssertionError: If anything that is promised does not hold.
    """
    chance = random.Random(f"{name} {seed}")
    order = _order(chance, kills)
    settings = settings_of(home, ledger_url)
    plan = sweep()
    began = time.monotonic()
    drivers = Drivers(home, ledger_url)
    finished: set[str] = set()
    steps: dict[str, int] = {}
    last = time.monotonic()
    try:
        with Ledger.open(settings.ledger_url) as ledger:
            while True:
                code = drivers.restart_if_gone()
                if code == 0:
                    break
                if code is not None:
                    say(f"  t={time.monotonic() - began:6.1f} s  the driver left with {code}")
                trials = ledger.trials(plan.sweep_id) if ledger.sweeps() else []
                done = {t.identity for t in trials if t.state is TrialState.SUCCEEDED}
                _require(finished <= done, "something finished was lost")
                finished = done
                _require(time.monotonic() - last < PATIENCE, "the sweep does nothing any more")
                due = len(done) >= (kills - len(order)) * (len(trials) - 1) // kills
                ready = order and due and _has_moved(trials, steps)
                if ready and _killed(drivers, order[0], chance):
                    steps = {trial.identity: trial.step for trial in trials}
                    running = sum(t.state is TrialState.RUNNING for t in trials)
                    kind, last = order.pop(0), time.monotonic()
                    say(
                        f"  t={last - began:6.1f} s  killed {NAMES[kind]}, "
                        f"{len(done)} trials done, {running} running"
                    )
                    if kind == "raylet":
                        left = drivers.left_within(RAYLET_SECONDS)
                        _require(left, "the driver waits for a raylet that is gone")
                time.sleep(chance.uniform(0.2, 3.0))
            say(f"  t={time.monotonic() - began:6.1f} s  ended after {drivers.starts} drivers")
            _require(not order, f"the sweep ended before {order} could be killed")
            _check(ledger, plan.sweep_id, settings.storage)
    finally:
        drivers.end()


def unbroken(home: Path) -> dict[str, dict[str, float]]:
    """What the same sweep measures when it is left alone, by arm."""
    ledger_url = f"sqlite:///{home / 'ledger.db'}"
    drivers = Drivers(home, ledger_url)
    try:
        _require(drivers.process.wait() == 0, "the sweep fails although nobody kills anything")
    finally:
        drivers.end()
    return figures(ledger_url)


def figures(ledger_url: str) -> dict[str, dict[str, float]]:
    """What was measured of every trial, by arm; without times and rates."""
    with Ledger.open(ledger_url) as ledger:
        return {
            trial.arm: {k: v for k, v in trial.metrics.items() if k.startswith("eval/")}
            for trial in ledger.trials(sweep().sweep_id)
        }


def _order(chance: random.Random, kills: int) -> list[str]:
    """Whom to kill, every kind as often as any other."""
    order = list(itertools.islice(itertools.cycle(NAMES), kills))
    chance.shuffle(order)
    return order


def _has_moved(trials: list[TrialView], steps: dict[str, int]) -> bool:
    """Whether a training is further than when somebody was killed last."""
    return any(
        trial.state is TrialState.RUNNING and trial.step > steps.get(trial.identity, 0)
        for trial in trials
    )


def _killed(drivers: Drivers, kind: str, chance: random.Random) -> bool:
    victims = drivers.victims(kind)
    if not victims:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        chance.choice(victims).kill()
        return True
    return False


def _check(ledger: Ledger, sweep_id: str, storage: str) -> None:
    trials = ledger.trials(sweep_id)
    _require(ledger.sweep(sweep_id).state is SweepState.SUCCEEDED, "the sweep did not succeed")
    left = [(t.arm, t.state.value) for t in trials if t.state is not TrialState.SUCCEEDED]
    _require(not left, f"left undone: {left}")
    store = open_store(storage)
    for trial in trials:
        keys = list(store.keys(f"trials/{trial.identity}/model/"))
        _require(bool(keys), f"{trial.arm} has no model in the store")
        said = ledger.reports([trial.identity], as_said=True)[trial.identity]
        reported = {report.checkpoint.step for report in said if report.checkpoint}
        attempts = ledger.attempts([trial.identity])
        _require(sum(a.state == TrialState.SUCCEEDED for a in attempts) == 1, "not one success")
        for attempt in attempts:
            _require(attempt.ended is not None, "an attempt was left open")
            known = attempt.resumed_step in (None, *reported)
            _require(known, f"{trial.arm} went on from step {attempt.resumed_step}, unknown")
        for before, later in itertools.pairwise(attempts):
            _follows(trial.arm, before, later)


def _follows(arm: str, before: AttemptView, later: AttemptView) -> None:
    _require((before.ended or 0.0) <= later.started, f"{arm}: two attempts ran at once")
    _require(before.state != TrialState.SUCCEEDED, f"{arm} was trained again")
    _require((later.resumed_step or 0) >= (before.resumed_step or 0), f"{arm} lost a checkpoint")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


@contextmanager
def sqlite_url(home: Path) -> Iterator[str]:
    """A file."""
    yield f"sqlite:///{home / 'ledger.db'}"


@contextmanager
def postgresql_url(home: Path) -> Iterator[str]:
    """A server of its own."""
    del home
    with postgresql_server() as url:
        yield url


LEDGERS = {"SQLite": sqlite_url, "PostgreSQL": postgresql_url}


def main() -> int:
    """Rage on both ledgers, beside a sweep that was left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="on each ledger")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[*LEDGERS], help="one ledger alone")
    asked = parser.parse_args()

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        home = Path(folder) / "unbroken"
        home.mkdir()
        expected = unbroken(home)
        for name in LEDGERS if asked.only is None else [asked.only]:
            home = Path(folder) / name
            home.mkdir()
            with LEDGERS[name](home) as ledger_url:
                say(name)
                rage(name, ledger_url, home, kills=asked.kills, seed=asked.seed, say=say)
                _require(figures(ledger_url) == expected, "killed trainings measured otherwise")
            say(f"{name}: {asked.kills} kills; ended as promised, with the figures of a sweep "
                "left alone")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
