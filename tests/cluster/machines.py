"""A head and machines that join and leave it, all on the loopback of this machine.

Every machine is a raylet of one CPU with a session of processes of its own, so that it can be lost
as a whole. The head runs drivers, never trials. A machine may have a small disk of its own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import psutil

from tests.execution.ray_head import head_ports, ray_environment
from tests.free_ports import free_ports
from tests.serving import await_port

START_SECONDS = 240.0


class Machines:
    """A cluster of this machine's own."""

    def __init__(self, scratch: Path, environment: dict[str, str]) -> None:
        """Start the head.

        Args:
            scratch: Folder with a short name: sockets live in it.
            environment: What every machine's processes have besides; credentials, for one.
        """
        self.token = secrets.token_hex(32)
        scratch.mkdir(parents=True)
        self._scratch = scratch
        self._environment = {**ray_environment(self.token), **environment}
        ports = head_ports()
        self.address = f"http://127.0.0.1:{ports['dashboard-port']}"
        self._gcs = f"127.0.0.1:{ports['port']}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._disks: dict[str, Path] = {}
        self._start(
            "head",
            *("--head", "--num-cpus=0", "--include-dashboard=true", "--dashboard-host=127.0.0.1"),
            f"--temp-dir={scratch}",
            *(f"--{name}={port}" for name, port in ports.items()),
        )
        await_port(
            ports["dashboard-port"], self._processes["head"], scratch / "head.txt",
            seconds=START_SECONDS, what="the head",
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """Machines that are there, without the head."""
        return [name for name in self._processes if name != "head"]

    def join(self, name: str, *, disk_megabytes: int | None = None) -> None:
        """Have a machine of one CPU arrive; it may have a small disk for temporary files."""
        (port,) = free_ports(1)
        disk = None
        if disk_megabytes is not None:
            disk = self._scratch / f"disk-{name}"
            disk.mkdir()
            _run("mount", "-t", "tmpfs", "-o", f"size={disk_megabytes}m", "tmpfs", str(disk))
            self._disks[name] = disk
        self._start(
            name,
            *(f"--address={self._gcs}", "--num-cpus=1", f"--dashboard-agent-listen-port={port}"),
            disk=disk,
        )
        deadline = time.monotonic() + START_SECONDS
        log = self._scratch / f"{name}.txt"
        while "Ray runtime started" not in log.read_text(errors="replace"):
            if time.monotonic() > deadline or self._processes[name].poll() is not None:
                raise AssertionError(f"{name} did not join: {log.read_text()[-2000:]}")
            time.sleep(0.5)

    def lose(self, name: str) -> None:
        """Pull a machine's plug: every process of it dies at once."""
        self._end(name, signal.SIGKILL)

    def warn(self, name: str) -> None:
        """Give a machine notice, as a cloud does that takes it back, and take it 10 s later."""
        self._processes[name].send_signal(signal.SIGTERM)
        time.sleep(10)
        self._end(name, signal.SIGKILL)

    def fill(self, name: str) -> None:
        """Leave no space on a machine's disk."""
        with contextlib.suppress(OSError), (self._disks[name] / "filler").open("wb") as file:
            while True:
                file.write(bytes(2**16))
                file.flush()

    def clear(self, name: str) -> None:
        """Give the space back."""
        (self._disks[name] / "filler").unlink()

    def processes(self) -> list[psutil.Process]:
        """Everything the machines have started."""
        found = []
        for process in self._processes.values():
            with contextlib.suppress(psutil.Error):
                parent = psutil.Process(process.pid)
                found += [parent, *parent.children(recursive=True)]
        return found

    def close(self) -> None:
        """End everything."""
        for name in [*self.names, "head"]:
            self._end(name, signal.SIGKILL)
        for disk in self._disks.values():
            _run("umount", "-l", str(disk))

    def _start(self, name: str, *arguments: str, disk: Path | None = None) -> None:
        environment = dict(self._environment)
        if disk is not None:
            environment["TMPDIR"] = str(disk)
        with (self._scratch / f"{name}.txt").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [
                    str(Path(sysconfig.get_path("scripts")) / "ray"),
                    *("start", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
                    *("--object-store-memory=80000000", *arguments),
                ],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _end(self, name: str, number: int) -> None:
        process = self._processes.pop(name)
        family = [process.pid]
        with contextlib.suppress(psutil.Error):
            family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        process.wait()


def may_mount() -> bool:
    """Whether small disks can be made here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
