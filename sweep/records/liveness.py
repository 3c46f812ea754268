"""Whether a driver lives: its heartbeat tells anywhere, its process tells on its own machine.

A heartbeat that lapsed means dead. On the driver's own machine a missing process means dead at
once, so `resume` after `kill -9` need not wait for the heartbeat to lapse.
"""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

import psutil


@functools.cache
def machine_key() -> str:
    """Name of the space in which process ids mean something: host, boot and pid namespace.

    Host names alone do not do: containers may share one and still not see each other's processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 -- not a path but a label
    except OSError:
        boot, namespace = str(int(psutil.boot_time())), ""
    return f"{socket.gethostname()}/{boot}/{namespace}"


def process_start(pid: int) -> float | None:
    """When a process started, or None when there is none to be seen (a zombie is none).

    Clock ticks since boot where the kernel tells them, since seconds since 1970 shift when the
    clock is set; elsewhere seconds since 1970.
    """
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The name in parentheses may hold spaces and parentheses: fields start after the last.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else float(fields[19])
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_known_dead(*, machine: str, pid: int, process_started: float) -> bool:
    """Whether the process is certainly gone; False when that cannot be told from here."""
    if not machine or machine != machine_key():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # another user's process, whose start may be hidden
    return process_start(pid) != process_started
