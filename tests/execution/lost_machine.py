"""Two gangs, one after the other, on two machines of which the first gang loses one.

`python -m tests.execution.lost_machine HOME`, in a process of its own (`scene.play`). The head
trains nothing. The machine of the first gang's second part stands still once the gang has its
places, so that the part cannot begin; once the ranks of the first part wait for it, the machine is
gone. Another one comes when the attempt has ended. The last line is JSON: the sweep's state, and
the attempts at each trial.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group_table

from infra.tracking import NullTracker
from sweep.execution.cluster import QUIET
from sweep.execution.runner import Execution, run_sweep
from sweep.records.ledger import Ledger
from sweep.records.rows import AttemptView
from tests.execution.plans import plan_of, settings_in
from tests.execution.two_machines import CONFIG, ranks_at_work
from trainer.config import TrainerConfig


class Losing:
    """Takes a machine away and gives another one, from a thread of its own."""

    def __init__(self, cluster: Cluster, attempts: Callable[[], list[AttemptView]]) -> None:
        self._cluster = cluster
        self._attempts = attempts
        self._over = threading.Event()

    def begin(self) -> None:
        """Watch from now on."""
        threading.Thread(target=self._lose, daemon=True).start()

    def end(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _lose(self) -> None:
        self._wait_until(lambda: len(self._places()) == 2)
        lost = self._places()[1]
        (node,) = [node for node in self._cluster.list_all_nodes() if node.node_id == lost]
        node.all_processes["raylet"][0].process.send_signal(signal.SIGSTOP)
        self._wait_until(lambda: bool(ranks_at_work()))
        self._cluster.remove_node(node, allow_graceful=False)
        self._wait_until(lambda: any(one.ended is not None for one in self._attempts()))
        self._cluster.add_node(num_cpus=1)

    def _places(self) -> dict[int, str]:
        """Machine of each part of the gang, once it has all of them."""
        groups = placement_group_table().values()
        whole = [group for group in groups if group["state"] == "CREATED"]
        return dict(whole[0]["bundles_to_node_id"]) if whole else {}

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        while not self._over.is_set() and not holds():
            self._over.wait(0.1)


def main() -> int:
    """Run it."""
    home = Path(sys.argv[1])
    os.environ.update(QUIET)
    # A machine that comes from another thread than the main one can set no hook for the exit.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0}, shutdown_at_exit=False)
    settings = settings_in(home)
    few = CONFIG | {"data": {"pairs": 256}}
    plan = plan_of([TrainerConfig.model_validate(few | {"seed": seed}) for seed in range(2)])
    identities = [trial.identity for trial in plan.trials]
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        with Ledger.open(settings.ledger_url) as ledger:
            losing = Losing(cluster, lambda: ledger.attempts(identities))
            losing.begin()
            result = run_sweep(
                plan,
                ledger,
                settings,
                execution=Execution(open_tracker=lambda sweep, settings: NullTracker),
            )
            losing.end()
            attempts = {name: ledger.attempts([name]) for name in identities}
        sys.stdout.write(
            json.dumps(
                {
                    "state": result.state,
                    "attempts": [
                        [[one.state, one.error_kind] for one in attempts[name]]
                        for name in identities
                    ],
                    "why": [one.error_message for one in attempts[identities[0]]],
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
