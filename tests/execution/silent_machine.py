"""A gang that stands still: its ranks alone, or all of its machine; then its sweep's limit comes.

`python -m tests.execution.silent_machine HOME ranks|machine`, in a process of its own
(`scene.play`). The head trains nothing; a gang of two trains on the other machine. Once both ranks
are at work, they are stopped where they are (with `machine`: also their actor and the raylet), and
`budget.gpu_hours` is set to a few seconds more than was spent. The last line is JSON: how the sweep
ended, what the attempt cost and what it might.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import ray
from ray.cluster_utils import Cluster

from infra.tracking import NullTracker
from sweep.execution.cluster import QUIET
from sweep.execution.patience import Patience
from sweep.execution.runner import Execution, run_sweep
from sweep.records.ledger import Ledger
from sweep.spec.sweep_spec import BudgetSpec
from tests.execution.plans import plan_of, settings_in
from tests.execution.two_machines import CONFIG, ranks_at_work
from trainer.config import TrainerConfig

PATIENCE = Patience(grace=40.0, silence=30.0)
MORE_SECONDS = 20.0
"""Device-seconds that may be spent once the gang stands still."""


class Silencing:
    """Stops processes, then lowers the budget, from a thread of its own."""

    def __init__(self, ledger: Ledger, sweep_id: str, raylet: int | None) -> None:
        self._ledger = ledger
        self._sweep_id = sweep_id
        self._raylet = raylet
        self._over = threading.Event()
        self.limit = 0.0
        """Device-seconds."""
        self.ranks: list[int] = []
        self.stopped: list[int] = []
        self._thread = threading.Thread(target=self._silence, daemon=True)

    def begin(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def end(self) -> None:
        """Let whatever still stands go on, so that it can be ended."""
        self._over.set()
        self._thread.join()
        for process in self.stopped:
            with contextlib.suppress(psutil.Error):
                psutil.Process(process).resume()

    def _silence(self) -> None:
        while not self._over.wait(0.2):
            at_work = ranks_at_work()
            ranks = [rank for _, found in at_work.values() for rank in found]
            reported = any(trial.step for trial in self._ledger.trials(self._sweep_id))
            if len(ranks) == 2 and reported:
                self.ranks = self.stopped = ranks
                if self._raylet is not None:
                    self.stopped = [*ranks, *at_work, self._raylet]
                for process in self.stopped:
                    os.kill(process, signal.SIGSTOP)
                break
        else:
            return
        (attempt,) = self._ledger.attempts(
            [trial.identity for trial in self._ledger.trials(self._sweep_id)]
        )
        now = 2 * (self._ledger.now() - attempt.started)
        self.limit = now + MORE_SECONDS
        budget = BudgetSpec(gpu_hours=self.limit / 3600, drain_at=1.0)
        self._ledger.set_budget(self._sweep_id, budget.model_dump(mode="json"))


def is_alive(process: int) -> bool:
    """Whether it still runs, or stands still."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main() -> int:
    """Run it."""
    home, whole_machine = Path(sys.argv[1]), sys.argv[2] == "machine"
    os.environ.update(QUIET)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    settings = settings_in(home)
    longer = CONFIG | {"strategy": {"batch_pairs": 8, "epochs": 4}}
    plan = plan_of([TrainerConfig.model_validate(longer)])
    try:
        node = cluster.add_node(num_cpus=2)
        raylet = node.all_processes["raylet"][0].process.pid if whole_machine else None
        ray.init(address=cluster.address, log_to_driver=False)
        with Ledger.open(settings.ledger_url) as ledger:
            silencing = Silencing(ledger, plan.sweep_id, raylet)
            silencing.begin()
            result = run_sweep(
                plan,
                ledger,
                settings,
                execution=Execution(
                    patience=PATIENCE, open_tracker=lambda sweep, settings: NullTracker
                ),
            )
            left = [process for process in silencing.ranks if is_alive(process)]
            silencing.end()
            attempts = ledger.attempts([trial.identity for trial in plan.trials])
        sys.stdout.write(
            json.dumps(
                {
                    "state": result.state,
                    "reason": result.reason,
                    "attempts": [[one.state, one.error_kind] for one in attempts],
                    "why": [one.error_message for one in attempts],
                    "spent": sum(one.device_seconds or 0.0 for one in attempts),
                    "limit": silencing.limit,
                    "overshoot": 2 * (PATIENCE.grace + 10.0),
                    "left": left,
                }
            )
            + "\n"
        )
        return 0
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    sys.exit(main())
