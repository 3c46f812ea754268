"""Drivers as processes of their own: killed, interrupted, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.settings import Settings
from sweep.engine.planning.plan import SweepPlan
from sweep.execution.runner import run_sweep
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from tests.execution.plans import plan_of
from tests.execution.scripted import SCRIPTED, accuracy_of, executions, script

pytestmark = pytest.mark.cluster
SLOW = [script(seed=seed, steps=40, step_seconds=0.2) for seed in range(2)]
QUICK = [script(seed=seed) for seed in range(2, 5)]


def start_driver(home: Path, plan: SweepPlan) -> subprocess.Popen[str]:
    sweep = {
        "name": plan.spec.name,
        "configs": [trial.config.model_dump(mode="json") for trial in plan.trials],
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.execution.drive", str(home), json.dumps(sweep)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(holds: Callable[[], bool], *, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def processes_of(session: int) -> list[psutil.Process]:
    """Living processes of a session: a driver and all that Ray started for it."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = os.getsid(process.pid) == session
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def trials_of(session: int) -> list[psutil.Process]:
    """Those of them that train: actors of trials and the ranks they forked."""
    return [p for p in processes_of(session) if not p.name().endswith("Agent")]


def steps_of(ledger: Ledger, plan: SweepPlan) -> list[int]:
    return [trial.step for trial in ledger.trials(plan.sweep_id)]


def test_a_killed_driver_leaves_nothing_running_and_resume_repeats_nothing(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([*QUICK, *SLOW])
    driver = start_driver(settings.home, plan)
    try:
        wait_until(lambda: len(ledger.sweeps()) == 1)
        wait_until(lambda: [s > 3 for s in steps_of(ledger, plan)][3:] == [True, True])
    finally:
        driver.kill()
        driver.communicate()

    wait_until(lambda: not trials_of(driver.pid))
    reached = dict(zip([t.identity for t in plan.trials], steps_of(ledger, plan), strict=True))
    result = run_sweep(plan, ledger, settings, execution=SCRIPTED)

    assert result.state is SweepState.SUCCEEDED
    trials = ledger.trials(plan.sweep_id)
    assert [trial.attempts for trial in trials] == [1, 1, 1, 2, 2]
    for identity, first, _, _ in executions(settings.home / "store")[5:]:
        assert first == reached[identity] > 0
    unbroken = [trial.metrics["eval/validation/accuracy"] for trial in trials]
    assert unbroken == [accuracy_of(trial.seed) for trial in trials]
    # Ray's own agents ask their dead server for a minute before they leave.
    wait_until(lambda: not processes_of(driver.pid))


def test_ctrl_c_pauses_what_runs_leaves_with_130_and_says_nothing_else(
    ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of([*SLOW, *QUICK])
    driver = start_driver(settings.home, plan)
    wait_until(lambda: len(ledger.sweeps()) == 1)
    wait_until(lambda: [step > 2 for step in steps_of(ledger, plan)][:2] == [True, True])

    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    said, complained = driver.communicate(timeout=300)

    assert driver.returncode == 130
    assert json.loads(said) == {"state": "running", "interrupted": True}
    assert complained == ""
    states = [trial.state for trial in ledger.trials(plan.sweep_id)]
    assert states == [TrialState.PAUSED] * 2 + [TrialState.PENDING] * 3
    assert not ledger.sweep(plan.sweep_id).live
    wait_until(lambda: not processes_of(driver.pid))


@pytest.mark.parametrize("name", ["raylet", pytest.param("gcs_server", marks=pytest.mark.slow)])
def test_a_driver_whose_ray_dies_leaves_with_one_error_and_lets_go_of_its_sweep(
    name: str, ledger: Ledger, settings: Settings
) -> None:
    plan = plan_of(SLOW)
    driver = start_driver(settings.home, plan)
    wait_until(lambda: len(ledger.sweeps()) == 1)
    wait_until(lambda: all(step > 1 for step in steps_of(ledger, plan)))

    (victim,) = (p for p in psutil.Process(driver.pid).children() if p.name() == name)
    victim.kill()
    said, complained = driver.communicate(timeout=120)

    assert (driver.returncode, said) == (1, "")
    assert complained.startswith(f"error: Ray failed under the sweep: its process {name} on this")
    assert len(complained.splitlines()) == 1
    row = ledger.sweep(plan.sweep_id)
    assert (row.state, row.live) == (SweepState.RUNNING, False)
    assert [trial.state for trial in ledger.trials(plan.sweep_id)] == [TrialState.PAUSED] * 2
    wait_until(lambda: not processes_of(driver.pid))
