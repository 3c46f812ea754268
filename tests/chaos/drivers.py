"""The driver under attack: its processes by kind, and a new driver whenever it is gone.

All that it starts lives in a session of its own, so nothing else can be meant.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil


class Drivers:
    """The driver at work, started again whenever it is gone."""

    def __init__(self, home: Path, ledger_url: str) -> None:
        self._arguments = [sys.executable, "-m", "tests.chaos.drive", str(home), ledger_url]
        self._log = (home / "drivers.txt").open("ab")
        self.starts = 0
        self._start()

    def _start(self) -> None:
        self.starts += 1
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            self._arguments, stdout=self._log, stderr=self._log, start_new_session=True,
            env=environment,
        )  # fmt: skip

    def restart_if_gone(self) -> int | None:
        """Its exit code, if it was gone."""
        code = self.process.poll()
        if code is not None and code != 0:
            self.end()
            self._start()
        return code

    def left_within(self, seconds: float) -> bool:
        """Whether the driver ends by itself in this time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """End every process of the driver's session."""
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.wait()

    def family(self) -> list[psutil.Process]:
        """The driver and all that Ray and the trials started for it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                mine = os.getsid(process.pid) == self.process.pid
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def _is_raylet(self, process: psutil.Process) -> bool:
        """Ray's own, and not a worker it has just forked, which is called the same for a moment."""
        with contextlib.suppress(psutil.Error):
            own = process.ppid() == self.process.pid
            return own and _command(process).split(" ")[0].endswith("/raylet")
        return False

    def victims(self, kind: str) -> list[psutil.Process]:
        """Processes of a kind that are at work now."""
        if kind == "driver":
            return [psutil.Process(self.process.pid)]
        if kind == "raylet":
            return [p for p in self.family() if self._is_raylet(p)]
        with_ranks = {process: ranks for process in self.family() if (ranks := _ranks(process))}
        if kind == "actor":
            return list(with_ranks)
        return [rank for ranks in with_ranks.values() for rank in ranks]


def _command(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _ranks(actor: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        servers = [each for each in actor.children() if "forkserver" in _command(each)]
        return [rank for server in servers for rank in server.children()]
    return []
