"""An MLflow server on loopback that asks for a password, as the shipped manifests start it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.deploy.services import mlflow_command
from tests.free_ports import free_ports
from tests.serving import kill_family

USER = "sweeper"
PASSWORD = "hush-mlflow-password"
START_SECONDS = 180.0


@dataclass(frozen=True)
class MlflowServer:
    """Where it answers."""

    uri: str


@contextmanager
def mlflow_server(
    folder: Path, *, database: str | None = None, artifacts: str | None = None
) -> Iterator[MlflowServer]:
    """Start it with the rendered command, on this machine's paths and one worker.

    Args:
        folder: It keeps its files in.
        database: Of runs and users; SQLite files in the folder when absent.
        artifacts: Where clients are told to put artifacts themselves; through it when absent.
    """
    (port,) = free_ports(1)
    users = (database or f"sqlite:///{folder}/auth.db").replace("%", "%%")  # an ini file's escape
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = {users}\n"
        f"admin_username = {USER}\nadmin_password = {PASSWORD}\n"
    )
    command = mlflow_command(None, hosts=("127.0.0.1:*",))
    for there, here in (
        ("0.0.0.0", "127.0.0.1"),
        ("5000", str(port)),
        ("/data", str(folder)),
        ("--workers=2", "--workers=1"),
        *([(f"sqlite:///{folder}/mlflow.db", database)] if database else []),
        *(
            [
                (
                    f"--artifacts-destination={folder}/artifacts",
                    f"--no-serve-artifacts --default-artifact-root={artifacts}",
                )
            ]
            if artifacts
            else []
        ),
    ):
        assert there in command, (there, command)
        command = command.replace(there, here)
    environment = {
        **{n: v for n, v in os.environ.items() if not n.startswith("MLFLOW_")},
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a key of this test",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *command.split()],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        _await(uri, process, log)
        yield MlflowServer(uri)
    finally:
        kill_family(process)


def _await(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{uri}/health", timeout=2),
        ):
            return
        time.sleep(0.3)
    raise AssertionError(f"MLflow did not start: {log.read_text()[-3000:]}")
