"""Scenes on a Ray cluster of their own, each in a process of its own: a process has one cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE = {
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
}
"""For Ray's own start, which reads them as it is imported."""


def play(module: str, *arguments: str | Path, seconds: float = 900.0) -> dict[str, Any]:
    """Run a module of tests that opens a cluster; what its last line tells.

    The cluster is on the loopback and asks for no token. Ray reads that as it is imported, and
    nothing of another cluster of this process may reach it: with that one's token half of the
    scene's calls were refused, and trials waited for actors that never came.
    """
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=quiet | PATIENCE | {"RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
