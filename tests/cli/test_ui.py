"""`ui`: a server that does not come up says why, and none is told secrets where all can read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from infra.errors import StoreError
from sweep.cli.ui_verb import await_server
from tests.free_ports import free_ports
from tests.serving import kill_family

START_SECONDS = 120.0


def test_a_server_that_ends_as_it_starts_is_told_with_its_last_words() -> None:
    with tempfile.TemporaryFile() as said:
        ends = [sys.executable, "-c", "raise SystemExit('starting\\nno such database')"]
        with (
            subprocess.Popen(ends, stderr=said) as server,
            pytest.raises(StoreError, match=r"code 1 as it started: no such database$"),
        ):
            await_server(server, "http://127.0.0.1:1", said)


def test_a_password_in_the_trackers_address_is_in_no_command_line(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    told = {
        "RMSWEEP_HOME": str(tmp_path),
        "RMSWEEP_TRACKING_URI": "postgresql://me:hush-hush@127.0.0.1:9/runs",
    }
    command = [sys.executable, "-m", "sweep.cli.main", "ui", "--no-browser", f"--port={port}"]
    shown = subprocess.Popen(command, env=os.environ | told, stdout=subprocess.DEVNULL)
    lines: list[str] = []
    try:
        deadline = time.monotonic() + START_SECONDS
        while not any("mlflow" in line for line in lines) and time.monotonic() < deadline:
            time.sleep(0.05)
            with contextlib.suppress(psutil.NoSuchProcess):  # one that ended while it was asked
                children = psutil.Process(shown.pid).children(recursive=True)
                lines = [" ".join(child.cmdline()) for child in children]
    finally:
        kill_family(shown)

    assert any("mlflow server" in line for line in lines)
    assert not any("hush-hush" in line for line in lines)


def test_the_last_words_of_a_server_are_told_without_a_password() -> None:
    with tempfile.TemporaryFile() as said:
        ends = [sys.executable, "-c", "raise SystemExit('no postgresql://me:hush@db/runs there')"]
        with (
            subprocess.Popen(ends, stderr=said) as server,
            pytest.raises(StoreError, match=r"no postgresql://me:\*\*\*@db/runs there"),
        ):
            await_server(server, "http://127.0.0.1:1", said)
