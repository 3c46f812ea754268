"""A Ray head of its own on the loopback, with a dashboard and a token, as a user's cluster has."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.free_ports import free_ports
from tests.serving import await_port

START_SECONDS = 420.0


@dataclass(frozen=True)
class RayHead:
    """Where it answers, the token it asks for, and where it keeps its files."""

    address: str
    token: str
    folder: Path


def ray_environment(token: str) -> dict[str, str]:
    """What Ray's processes on this machine are started with: quiet, patient, asking for a token."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        # Jobs run the first python of this PATH.
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_gcs_server_port_wait_time_s": "400",
        "RAY_raylet_start_wait_time_s": "400",
        "RAY_agent_register_timeout_ms": "400000",
        "OMP_NUM_THREADS": "1",
    }


AGENT_PORTS = (
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
    "metrics-export-port",
)
"""Left to choose them, agents have 15 s to tell a raylet, which dies of it on a busy machine."""


def head_ports() -> dict[str, int]:
    """Free ports for a head, by the option that takes each."""
    return named_ports("port", "dashboard-port", "ray-client-server-port", *AGENT_PORTS)


def named_ports(*names: str) -> dict[str, int]:
    """Free ports by the option that takes each."""
    return dict(zip(names, free_ports(len(names)), strict=True))


@contextmanager
def ray_head(*, cpus: int) -> Iterator[RayHead]:
    """Start it, and end everything it has started."""
    token = secrets.token_hex(32)
    ports = head_ports()
    # Sockets live in it, and their names may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as scratch:
        command = [
            str(Path(sysconfig.get_path("scripts")) / "ray"),
            *("start", "--head", "--block", "--disable-usage-stats", f"--num-cpus={cpus}"),
            *("--include-dashboard=true", "--dashboard-host=127.0.0.1"),
            *("--node-ip-address=127.0.0.1", f"--temp-dir={scratch}"),
            *("--object-store-memory=134217728",),
            *(f"--{name}={port}" for name, port in ports.items()),
        ]
        log = Path(scratch) / "start.txt"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, env=ray_environment(token), stdout=file, stderr=subprocess.STDOUT
            )
        try:
            await_port(
                ports["dashboard-port"], process, log, seconds=START_SECONDS, what="the Ray head"
            )
            yield RayHead(f"http://127.0.0.1:{ports['dashboard-port']}", token, Path(scratch))
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for one in family:
            with contextlib.suppress(psutil.Error):
                one.kill()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
