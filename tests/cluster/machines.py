"""A head and machines that join and leave it, all on this machine.

Every machine is a raylet of one CPU with processes, temporary files and, where that is allowed, a
network namespace of its own, so that it can be lost as a whole. The head runs drivers, never
trials. A machine may have a small disk of its own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.cluster.networks import Network
from tests.execution.ray_head import AGENT_PORTS, head_ports, named_ports, ray_environment
from tests.serving import await_port

START_SECONDS = 420.0
START_ATTEMPTS = 10
"""A raylet whose agents take more than 15 s to be imported dies of it, on a busy machine."""


class Machines:
    """A cluster of this machine's own."""

    def __init__(self, scratch: Path, environment: dict[str, str], network: Network) -> None:
        """Start the head.

        Args:
            scratch: Folder with a short name: sockets live in it.
            environment: What every machine's processes have besides; credentials, for one.
            network: Where the machines are.
        """
        self.token = secrets.token_hex(32)
        scratch.mkdir(parents=True)
        self._scratch = scratch
        self._network = network
        self._environment = {**ray_environment(self.token), **environment}
        ports = head_ports()
        self.address = f"http://127.0.0.1:{ports['dashboard-port']}"
        self._gcs = f"{network.host}:{ports['port']}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._disks: dict[str, Path] = {}
        self._folders: dict[str, Path] = {}
        self._started = 0
        self._start(
            "head",
            network.host,
            *("--head", "--num-cpus=0", "--include-dashboard=true", "--dashboard-host=127.0.0.1"),
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
        if disk_megabytes is not None:
            disk = self._disks[name] = self._scratch / f"disk-{name}"
            disk.mkdir()
            _run("mount", "-t", "tmpfs", "-o", f"size={disk_megabytes}m", "tmpfs", str(disk))
        for _ in range(START_ATTEMPTS):
            self._start(
                name,
                self._network.add(name),
                *(f"--address={self._gcs}", "--num-cpus=1"),
                *(f"--{option}={port}" for option, port in named_ports(*AGENT_PORTS).items()),
            )
            if self._has_joined(name):
                return
            self._end(name, signal.SIGKILL)
        log = self._scratch / f"{name}.txt"
        raise AssertionError(f"{name} did not join: {log.read_text()[-2000:]}")

    def _has_joined(self, name: str) -> bool:
        """Wait until a machine has joined, or its raylet has died: `ray start` does not notice."""
        deadline = time.monotonic() + START_SECONDS
        log = self._scratch / f"{name}.txt"
        begun = False
        while "Ray runtime started" not in log.read_text(errors="replace"):
            there = any(_is_raylet(process) for process in self.processes(name))
            ended = (begun and not there) or self._processes[name].poll() is not None
            if ended or time.monotonic() > deadline:
                return False
            begun = begun or there
            time.sleep(0.5)
        return True

    def lose(self, name: str) -> None:
        """Pull a machine's plug: it is heard of no more, and every process of it dies at once."""
        self._network.cut(name)
        self._end(name, signal.SIGKILL)

    def take_back(self, name: str, *, seconds: float = 60.0) -> str:
        """End a machine as Kubernetes does: its `preStop` first; what that says when it is over."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "sweep.execution.leaving", f"--seconds={seconds}"),
                *(f"--address={self._gcs}", f"--node={self._raylet(name)}"),
            ],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self._end(name, signal.SIGKILL)
        return done.stdout.strip() or done.stderr.strip()

    def fill(self, name: str) -> None:
        """Leave no space on a machine's disk."""
        with contextlib.suppress(OSError), (self._disks[name] / "filler").open("wb") as file:
            while True:
                file.write(bytes(2**16))
                file.flush()

    def clear(self, name: str) -> None:
        """Give the space back."""
        (self._disks[name] / "filler").unlink()

    def processes(self, *names: str) -> list[psutil.Process]:
        """Everything these machines have started, or all of them."""
        found = []
        for name in names or tuple(self._processes):
            process = self._processes[name]
            with contextlib.suppress(psutil.Error):
                parent = psutil.Process(process.pid)
                found += [parent, *parent.children(recursive=True)]
        return found

    def temporary_files(self, pattern: str) -> Iterator[Path]:
        """What lies in the folders for temporary files of the machines that are there."""
        for name in self._processes:
            yield from self._folder_for_files(name).glob(pattern)

    def close(self) -> None:
        """End everything, also what a parent that died has left behind."""
        for name in [*self.names, "head"]:
            self._end(name, signal.SIGKILL)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("RAY_AUTH_TOKEN") == self.token:
                    process.kill()
        for disk in self._disks.values():
            _run("umount", "-l", str(disk))

    def _start(self, name: str, address: str, *arguments: str) -> None:
        self._started += 1
        folder = self._folders[name] = self._scratch / f"n{self._started}"  # sockets lie below it
        files = self._folder_for_files(name)
        files.mkdir(parents=True, exist_ok=True)
        with (self._scratch / f"{name}.txt").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [
                    *self._network.command(name),
                    str(Path(sysconfig.get_path("scripts")) / "ray"),
                    *("start", "--block", "--disable-usage-stats"),
                    f"--node-ip-address={address}",
                    *("--object-store-memory=80000000", f"--temp-dir={folder}", *arguments),
                ],
                env={**self._environment, "TMPDIR": str(files)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _folder_for_files(self, name: str) -> Path:
        return self._disks.get(name, self._folders[name] / "tmp")

    def _raylet(self, name: str) -> str:
        """Ray's id of a machine."""
        for process in self.processes(name):
            for argument in process.cmdline():
                if argument.startswith("--node_id="):
                    return argument.removeprefix("--node_id=")
        raise AssertionError(f"no raylet runs on {name}")

    def _end(self, name: str, number: int) -> None:
        process = self._processes.pop(name)
        family = [process.pid]
        with contextlib.suppress(psutil.Error):
            family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        process.wait()
        self._network.remove(name)
        # What was on a machine that is gone is gone as well.
        shutil.rmtree(self._folders.pop(name), ignore_errors=True)


def _is_raylet(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        line = process.cmdline()
        running = process.status() != psutil.STATUS_ZOMBIE
        return running and bool(line) and line[0].endswith("/raylet")
    return False


def may_mount() -> bool:
    """Whether small disks can be made here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
