"""`rmsweep supervise` with real drivers: one that is killed is followed, one that ended is not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from infra.settings import load_settings
from sweep.records.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
LONGEST_SECONDS = 400.0


def supervise(home: Path, **changed: Any) -> subprocess.Popen[str]:  # noqa: ANN401 -- settings
    """A supervisor of a tiny sweep, with these settings of its strategy."""
    home.mkdir(exist_ok=True)
    file = home / "supervised.yaml"
    sweep = {
        "name": "supervised",
        "baseline": {
            "backbone": {"scale": "xs"},
            "data": {"pairs": 256, "weights": {"text": 1}},
            "strategy": {"batch_pairs": 8, **changed},
            "evaluation": {
                "benchmarks": {"validation": {"split": "validation", "parts": {"text": 20}}}
            },
        },
        "replicates": {"seeds": 1},
        "budget": {"failures": 1},
    }
    file.write_text(yaml.safe_dump(sweep))
    return subprocess.Popen(
        [sys.executable, "-m", "sweep.cli.main", "supervise", str(file)],
        env={**os.environ, "RMSWEEP_HOME": str(home), "RMSWEEP_CPUS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def drivers_of(supervisor: subprocess.Popen[str]) -> list[psutil.Process]:
    """Its children: a driver, when there is one."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(supervisor.pid).children()
    return []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    home.mkdir()
    with Ledger.open(load_settings({"RMSWEEP_HOME": str(home)}).ledger_url) as ledger:
        yield ledger


def reported(ledger: Ledger) -> bool:
    return any(event.kind == "report" for event in ledger.events(limit=None))


def test_a_killed_driver_is_followed_by_one_that_goes_on_and_no_other_follows_the_end(
    home: Path, ledger: Ledger
) -> None:
    supervisor = supervise(home)
    deadline = time.monotonic() + LONGEST_SECONDS
    while not reported(ledger):
        assert time.monotonic() < deadline
        assert supervisor.poll() is None, supervisor.communicate()
        time.sleep(0.1)
    (driver,) = drivers_of(supervisor)
    driver.kill()

    said, complained = supervisor.communicate(timeout=LONGEST_SECONDS)

    assert supervisor.returncode == 0, complained
    assert said.count("was ended by signal 9 before its sweep; again in 2 s") == 1
    row = ledger.sweep("supervised")
    assert row.state == "succeeded"
    (trial,) = ledger.trials(row.sweep_id)
    assert [one.state for one in ledger.attempts([trial.identity])] == ["lost", "succeeded"]
    again = supervise(home)
    said, complained = again.communicate(timeout=LONGEST_SECONDS)
    assert again.returncode == 0, complained
    assert '"state": "succeeded"' in said
    assert len(ledger.attempts([trial.identity])) == 2


def test_a_sweep_that_failed_is_left_alone(home: Path, ledger: Ledger) -> None:
    supervisor = supervise(home, learning_rate=1e30)

    said, complained = supervisor.communicate(timeout=LONGEST_SECONDS)

    assert supervisor.returncode == 1, complained
    assert "again in" not in said
    row = ledger.sweep("supervised")
    assert row.state == "failed"
    (trial,) = ledger.trials(row.sweep_id)
    assert len(ledger.attempts([trial.identity])) == 1
