"""Small trials on one GPU that Ray believes in: `python -m tests.execution.sharing_gpu HOME SHARE`.

In a process of its own (`scene.play`), since a process has one cluster. Gangs follow scripts.
The last line is JSON: the sweep's state, and when each attempt ran and what it was charged.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from sweep.execution.cluster import QUIET
from sweep.execution.runner import run_sweep
from sweep.records.ledger import Ledger
from tests.execution.plans import plan_of, settings_in
from tests.execution.scripted import SCRIPTED, script
from tests.free_ports import free_ports
from trainer.config import MachineConfig

AGENT_PORTS = (
    "dashboard_agent_listen_port",
    "metrics_agent_port",
    "runtime_env_agent_port",
    "metrics_export_port",
)
"""Left to choose them, agents have 15 s to tell a raylet, which dies of it on a busy machine."""


def main() -> int:
    """Run it."""
    home, share = Path(sys.argv[1]), int(sys.argv[2])
    machine = MachineConfig(trials_per_gpu=share, needs_gpu=True)
    configs = [
        script(seed=seed, steps=4, step_seconds=0.5).model_copy(update={"machine": machine})
        for seed in range(share + 1)
    ]
    os.environ.update(QUIET)
    ports = dict(zip(AGENT_PORTS, free_ports(len(AGENT_PORTS)), strict=True))
    head = {"num_cpus": 4, "num_gpus": 1, "include_dashboard": False, **ports}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        settings = settings_in(home)
        plan = plan_of(configs)
        with Ledger.open(settings.ledger_url) as ledger:
            result = run_sweep(plan, ledger, settings, execution=SCRIPTED)
            attempts = ledger.attempts([trial.identity for trial in plan.trials])
            spent = ledger.spent(plan.sweep_id).device_seconds
        told = [[one.started, one.ended] for one in attempts]
        sys.stdout.write(json.dumps({"state": result.state, "ran": told, "spent": spent}) + "\n")
        return 0
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    sys.exit(main())
