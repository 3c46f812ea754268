"""A Ray head of its own on the loopback, with a dashboard and a token, as a user's cluster has."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.free_ports import free_ports

START_SECONDS = 240.0


@dataclass(frozen=True)
class RayHead:
    """Where it answers, and the token it asks for."""

    address: str
    token: str


@contextmanager
def ray_head(*, cpus: int) -> Iterator[RayHead]:
    """Start it, and end everything it has started."""
    token = secrets.token_hex(32)
    names = ("port", "dashboard-port", "dashboard-agent-listen-port", "ray-client-server-port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    # Sockets live in it, and their names may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as scratch:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            # Jobs run the first python of this PATH.
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            "RAY_gcs_server_port_wait_time_s": "120",
            "RAY_raylet_start_wait_time_s": "120",
            "RAY_agent_register_timeout_ms": "120000",
            "OMP_NUM_THREADS": "1",
        }
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
                command, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
        try:
            _await(ports["dashboard-port"], process, log)
            yield RayHead(f"http://127.0.0.1:{ports['dashboard-port']}", token)
        finally:
            _end(process)


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.5)
    raise AssertionError(f"the Ray head did not start: {log.read_text()[-2000:]}")


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
