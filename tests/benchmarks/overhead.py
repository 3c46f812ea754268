"""How much longer a sweep takes than its trials: `python -m tests.benchmarks.overhead`.

24 trials of a known length on two workers, ours beside plain Ray Tune in turns on one cluster: from
the first trial's start to the last one's end, over the time the trials themselves take.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.settings import load_settings
from sweep.execution.cluster import open_cluster
from sweep.execution.runner import run_sweep
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from tests.benchmarks.measuring import table
from tests.benchmarks.plain_tune import run_plainly
from tests.execution.plans import plan_of
from tests.execution.scripted import SCRIPTED, script

WORKERS = 2
TRIALS = 24
REPORTS = 4
"""Of each trial, ours and theirs."""

Contestant = Callable[[float], float]
"""From seconds of a trial to the seconds between the first start and the last end."""


def ours(home: Path) -> Contestant:
    """A sweep of ours; times are the ledger's."""

    def run(seconds: float) -> float:
        settings = load_settings(
            {"RMSWEEP_HOME": str(home / uuid.uuid4().hex), "RMSWEEP_CPUS": str(WORKERS)}
        )
        each = [
            script(seed=seed, steps=REPORTS, step_seconds=seconds / REPORTS)
            for seed in range(TRIALS)
        ]
        plan = plan_of(each, name="timed")
        with Ledger.open(settings.ledger_url) as ledger:
            result = run_sweep(plan, ledger, settings, execution=SCRIPTED)
            assert result.state is SweepState.SUCCEEDED, result.reason
            identities = [trial.identity for trial in plan.trials]
            ends = [attempt.ended or 0.0 for attempt in ledger.attempts(identities)]
            reports = [each for said in ledger.reports(identities).values() for each in said]
        # A trial is claimed before its worker is there; neither side's workers are counted.
        return max(ends) - min(report.time - report.seconds for report in reports)

    return run


def tune(folder: Path) -> Contestant:
    """Ray Tune alone, on trials that sleep; times are those its trials wrote down."""
    from ray import tune as ray_tune

    class Sleeps(ray_tune.Trainable):  # type: ignore[misc]  # Ray is untyped here
        """Reports after each part of its time."""

        def setup(self, config: dict[str, Any]) -> None:
            self._begin(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._begin(new_config)
            return True

        def step(self) -> dict[str, Any]:
            if not self._told:
                self._started = time.time()
            time.sleep(self._part)
            self._told += 1
            done = self._told == REPORTS
            return {"started": self._started, "ended": time.time(), "done": done}

        def _begin(self, config: dict[str, Any]) -> None:
            self._part = float(config["seconds"]) / REPORTS
            self._told = 0

    def run(seconds: float) -> float:
        results = run_plainly(Sleeps, folder, space={"seconds": seconds}, trials=TRIALS)
        told = [result.metrics for result in results]
        return float(max(each["ended"] for each in told) - min(each["started"] for each in told))

    return run


def main() -> int:
    """Print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a trial")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/overhead.json"))
    asked = parser.parse_args()
    ideal = asked.seconds * TRIALS / WORKERS
    spans: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, open_cluster(address=None, cpus=WORKERS):
        contestants = {"Ray Tune alone": tune(Path(folder) / "tune"), "ours": ours(Path(folder))}
        for contestant in contestants.values():
            contestant(0.1)  # actors are made, modules imported
        for _ in range(asked.rounds):
            for name, contestant in contestants.items():
                spans.setdefault(name, []).append(contestant(asked.seconds))
                sys.stderr.write(f"{name}: {spans[name][-1]:.2f} s, ideal {ideal:g} s\n")
    rows = [
        {
            "contestant": name,
            "makespan s": statistics.median(each),
            "over ideal %": 100 * (statistics.median(each) / ideal - 1),
            "least over ideal %": 100 * (min(each) / ideal - 1),
        }
        for name, each in spans.items()
    ]
    sys.stdout.write(table(rows) + "\n")
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
