"""Drivers on a cluster of two machines that others use: `... sharing_machines SCENE HOME`.

In a process of its own (`scene.play`), since a process has one cluster. Gangs follow scripts;
the drivers, the ledger and Ray are real. `taken_back`: a machine is announced to leave while both
are at work. `bad_machine`: one of them ends every actor. `priorities`: a sweep of higher priority
comes to a cluster another one has for itself. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from sweep.engine.planning.plan import SweepPlan
from sweep.execution.cluster import QUIET
from sweep.records.ledger import Ledger
from sweep.spec.sweep_spec import BudgetSpec
from tests.execution.plans import plan_of, settings_in
from tests.execution.scripted import script

LONGEST_SECONDS = 400.0


class Stage:
    """The cluster, the ledger, and drivers in processes of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        self.second = self.cluster.add_node(num_cpus=1)
        self.ledger = Ledger.open(settings_in(home).ledger_url)

    def drive(self, plan: SweepPlan, budget: BudgetSpec) -> subprocess.Popen[bytes]:
        sweep = {
            "name": plan.spec.name,
            "configs": [trial.config.model_dump(mode="json") for trial in plan.trials],
            "budget": budget.model_dump(mode="json"),
            "address": self.cluster.address,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.execution.drive", str(self.home), json.dumps(sweep)],
            stdout=subprocess.DEVNULL,
        )

    def wait(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + LONGEST_SECONDS
        while not holds():
            assert time.monotonic() < until, "it did not happen in time"
            time.sleep(0.2)

    def both_at_work(self, plan: SweepPlan) -> bool:
        if not any(row.sweep_id == plan.sweep_id for row in self.ledger.sweeps()):
            return False
        return sum(trial.step > 2 for trial in self.ledger.trials(plan.sweep_id)) == 2

    def told(self, plan: SweepPlan) -> dict[str, Any]:
        attempts = self.ledger.attempts([trial.identity for trial in plan.trials])
        decisions = self.ledger.decisions(plan.sweep_id)
        return {
            "state": self.ledger.sweep(plan.sweep_id).state,
            "attempts": [[one.identity, one.state, one.resumed_step] for one in attempts],
            "why": [one.error_message for one in attempts],
            "leaving": sum(one.kind == "leaving" for one in decisions),
            "ended": max(one.ended or 0.0 for one in attempts),
        }


def taken_back(stage: Stage) -> dict[str, Any]:
    plan = plan_of([script(seed=seed, steps=60, step_seconds=0.2) for seed in range(2)])
    driver = stage.drive(plan, BudgetSpec())
    stage.wait(lambda: stage.both_at_work(plan))
    left = subprocess.run(
        [
            *(sys.executable, "-m", "sweep.execution.leaving", "--seconds=60"),
            *(f"--address={stage.cluster.address}", f"--node={stage.second.node_id}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    driver.wait(LONGEST_SECONDS)
    return {"left": left.stdout.strip() or left.stderr, **stage.told(plan)}


def bad_machine(stage: Stage) -> dict[str, Any]:
    plan = plan_of([script(steps=3, step_seconds=1.5, bad_machine=True)])
    stage.drive(plan, BudgetSpec()).wait(LONGEST_SECONDS)
    return stage.told(plan)


def priorities(stage: Stage) -> dict[str, Any]:
    usual = plan_of(
        [script(seed=seed, steps=60, step_seconds=0.2) for seed in range(2)], name="usual"
    )
    urgent = plan_of(
        [script(seed=seed, steps=10, step_seconds=0.2) for seed in range(2, 4)],
        name="urgent",
        budget=BudgetSpec(priority=5),
    )
    first = stage.drive(usual, BudgetSpec())
    stage.wait(lambda: stage.both_at_work(usual))
    second = stage.drive(urgent, BudgetSpec(priority=5))
    for driver in (second, first):
        driver.wait(LONGEST_SECONDS)
    return {"usual": stage.told(usual), "urgent": stage.told(urgent)}


def main() -> int:
    """Run a scene."""
    scene, home = sys.argv[1], Path(sys.argv[2])
    home.mkdir()
    os.environ.update(QUIET)
    stage = Stage(home)
    try:
        told = {"taken_back": taken_back, "priorities": priorities, "bad_machine": bad_machine}[
            scene
        ](stage)
        sys.stdout.write(json.dumps(told) + "\n")
        return 0
    finally:
        ray.shutdown()
        stage.cluster.shutdown()


if __name__ == "__main__":
    sys.exit(main())
