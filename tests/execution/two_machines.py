"""A sweep on two machines of one CPU each: `python -m tests.execution.two_machines HOME [kill]`.

In a process of its own (`scene.play`), since a process has one cluster. The last line is
JSON: the sweep's state, its trials, and on how many machines the ranks of the gang of two were
seen. With `kill`, the rank on the other machine is killed once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import ray
from ray.cluster_utils import Cluster

from infra.tracking import NullTracker
from sweep.execution.cluster import QUIET
from sweep.execution.runner import Execution, run_sweep
from sweep.records.ledger import Ledger
from tests.execution.plans import plan_of, settings_in
from trainer.config import TrainerConfig

CONFIG = {
    "data": {"pairs": 2048},
    "backbone": {"scale": "xs"},
    "strategy": {"batch_pairs": 8},
    "machine": {"workers": 2, "zero_stage": 2},
    "evaluation": {"benchmarks": {"validation": {"split": "validation", "parts": {"scenes": 20}}}},
}


def ranks_at_work() -> dict[int, tuple[str, list[int]]]:
    """Title of every actor that holds ranks now, and their processes."""
    found = {}
    for actor in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            title = " ".join(actor.cmdline())
            if any(name in title for name in ("TrialActor", "ResourceTrainable", "PartActor")):
                servers = [one for one in actor.children() if "forkserver" in str(one.cmdline())]
                ranks = [rank.pid for server in servers for rank in server.children()]
                if ranks:
                    found[actor.pid] = (title, ranks)
    return found


def watch(seen: set[int], *, kill: bool, over: threading.Event) -> None:
    """Note which actors had ranks; kill one rank of the second part if asked to."""
    while not over.wait(0.2):
        at_work = ranks_at_work()
        seen.update(at_work)
        others = [
            rank for title, ranks in at_work.values() if "PartActor" in title for rank in ranks
        ]
        if kill and others:
            time.sleep(1.0)
            with contextlib.suppress(ProcessLookupError):
                os.kill(others[0], signal.SIGKILL)
            kill = False


def main() -> int:
    """Run it."""
    home, kill = Path(sys.argv[1]), "kill" in sys.argv[2:]
    os.environ.update(QUIET)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    over = threading.Event()
    seen: set[int] = set()
    try:
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        settings = settings_in(home)
        plan = plan_of([TrainerConfig.model_validate(CONFIG)])
        threading.Thread(
            target=watch, args=(seen,), kwargs={"kill": kill, "over": over}, daemon=True
        ).start()
        with Ledger.open(settings.ledger_url) as ledger:
            result = run_sweep(
                plan,
                ledger,
                settings,
                execution=Execution(open_tracker=lambda sweep, settings: NullTracker),
            )
            (trial,) = ledger.trials(plan.sweep_id)
            attempts = ledger.attempts([trial.identity])
        sys.stdout.write(
            json.dumps(
                {
                    "state": result.state,
                    "reason": result.reason,
                    "metrics": trial.metrics,
                    "model": trial.model_digest,
                    "attempts": [[one.state, one.error_kind] for one in attempts],
                    "why": [one.error_message for one in attempts],
                    "actors": len(seen),
                }
            )
            + "\n"
        )
        return 0
    finally:
        over.set()
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    sys.exit(main())
