"""The driver's own part of a trial: `python -m tests.benchmarks.driver_part [--trials N]`.

Without Ray: a driver is told that each of its trials has ended, writes that down, decides, and
claims the next, on a SQLite ledger.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from sweep.execution.cluster import Cluster, Node
from sweep.execution.driving import SweepDriver
from sweep.execution.orders import TrialNews
from sweep.execution.patience import Signs
from sweep.execution.registration import register
from sweep.records.ledger import Ledger
from sweep.records.rows import Holder
from tests.execution.plans import plan_of, settings_in
from tests.execution.scripted import OUTCOME, script


def seconds_of(trials: int, home: Path) -> tuple[float, float]:
    """Wall and process seconds for a sweep of so many trials, from its first claim to its end."""
    plan = plan_of([script(seed=seed) for seed in range(trials)])
    settings, holder = settings_in(home), Holder.here()
    signs = Signs(interrupted=lambda: False, lost=lambda: False)
    with Ledger.open(settings.ledger_url) as ledger:
        register(plan, ledger, settings)
        ledger.acquire_sweep(plan.sweep_id, holder, 3600.0)
        driver = SweepDriver(plan, ledger, holder, signs=signs)
        driver.start()
        driver.use(Cluster(embedded=True, nodes=(Node(cpus=2.0, gpus=0.0),)))
        wall, spent = time.monotonic(), time.process_time()
        driver.look()
        while (placed := driver.next_order()) is not None:
            driver.hear(TrialNews(attempt=placed.order.attempt, node="here", outcome=OUTCOME))
        assert driver.ended is not None
        return time.monotonic() - wall, time.process_time() - spent


def main() -> int:
    """Print what a trial takes, in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        wall, spent = seconds_of(trials, Path(folder))
    sys.stdout.write(
        f"{trials} trials: {1000 * wall / trials:.1f} ms of wall time and "
        f"{1000 * spent / trials:.1f} ms of process time each\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
