"""A sweep of which nothing is left is told of without Ray and MLflow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.cli.finished import finished_row
from sweep.cli.planning import plan_file
from sweep.cli.workplace import Workplace, open_workplace
from sweep.engine.planning.plan import SweepPlan
from sweep.execution.registration import register
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.publishing import cursor_name
from tests.execution.test_reuse import leave_record
from tests.records.rows import TTL, outcome, stranger
from trainer.record import record_key

FILE = """\
name: small
baseline:
  data: {pairs: 64}
  strategy: {batch_pairs: 16}
  evaluation: {benchmarks: {validation: {split: validation, parts: {scenes: 10}}}}
axes:
  head.layers: [1, 2]
replicates: {seeds: 1}
"""
RESUMES = """\
import sys
from sweep.cli import main
code = main.run(["resume", "small"])
print(sorted({"ray", "mlflow", "torch"} & set(sys.modules)))
sys.exit(code)
"""


def finished(home: Path, tmp_path: Path) -> tuple[Workplace, SweepPlan]:
    """A sweep that was trained, scored and shown, as its driver leaves it."""
    home.mkdir()
    file = tmp_path / "small.yaml"
    file.write_text(FILE)
    workplace = open_workplace()
    plan, _ = plan_file(workplace, file)
    ledger = workplace.ledger
    register(plan, ledger, workplace.settings)
    for trial in plan.trials:
        attempt = ledger.claim(trial.identity, plan.sweep_id, stranger(), TTL)
        assert attempt is not None
        leave_record(trial.identity, trial.config, workplace.settings)
        ledger.finish_attempt(attempt.attempt_id, TrialState.SUCCEEDED, outcome())
    ledger.set_sweep_state(plan.sweep_id, SweepState.RUNNING)
    ledger.set_sweep_state(plan.sweep_id, SweepState.SUCCEEDED, "all trials succeeded")
    show(workplace, plan)
    return workplace, plan_file(workplace, file)[0]


def show(workplace: Workplace, plan: SweepPlan) -> None:
    """Say that MLflow was told all there is."""
    row = workplace.ledger.sweep(plan.sweep_id)
    last = workplace.ledger.events(limit=None)[-1].seq
    workplace.ledger.set_cursor(cursor_name(row.tracking_uri, row.sweep_id), last)


def test_a_finished_sweep_is_resumed_without_loading_ray_or_mlflow(
    home: Path, tmp_path: Path
) -> None:
    workplace, plan = finished(home, tmp_path)
    events = len(workplace.ledger.events(limit=None))

    told = subprocess.run(
        [sys.executable, "-c", RESUMES], capture_output=True, text=True, check=False
    )

    assert told.returncode == 0, told.stderr
    *_, said, loaded = told.stdout.splitlines()
    assert said.startswith(plan.sweep_id)
    assert said.endswith(": all trials succeeded")
    assert loaded == "[]"
    assert len(workplace.ledger.events(limit=None)) == events


def fails(workplace: Workplace, plan: SweepPlan) -> None:
    workplace.ledger.set_sweep_state(plan.sweep_id, SweepState.RUNNING)
    workplace.ledger.set_sweep_state(plan.sweep_id, SweepState.FAILED, "one failed")
    show(workplace, plan)


def is_not_shown(workplace: Workplace, plan: SweepPlan) -> None:
    workplace.ledger.record_decision(plan.sweep_id, "noted", {"note": "something new"})


def has_a_broken_record(workplace: Workplace, plan: SweepPlan) -> None:
    workplace.store().write(record_key(plan.trials[0].identity), b"{")


@pytest.mark.parametrize("happens", [fails, is_not_shown, has_a_broken_record])
def test_a_sweep_of_which_something_is_left_is_not_taken_for_finished(
    home: Path, tmp_path: Path, happens: Callable[[Workplace, SweepPlan], None]
) -> None:
    workplace, plan = finished(home, tmp_path)
    assert finished_row(workplace, plan) is not None

    happens(workplace, plan)

    assert finished_row(workplace, plan) is None
