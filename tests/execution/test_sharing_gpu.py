"""Small trainings share a GPU: as many at once as were asked for, each charged for its part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster

PATIENCE = {
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
}
"""For Ray's own start, which reads them as it is imported."""


def test_two_trials_run_on_one_gpu_at_once_and_a_third_waits(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.execution.sharing_gpu", str(tmp_path / "home"), "2"],
        env=os.environ | PATIENCE,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["state"] == "succeeded"
    first, second, third = sorted(told["ran"])
    assert second[0] < first[1], "two at once"
    assert third[0] >= min(first[1], second[1]), "the third has its place from one that ended"
    assert told["spent"] == pytest.approx(sum(end - begin for begin, end in told["ran"]) / 2)
