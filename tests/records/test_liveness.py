"""Whether a process lives, told on its own machine."""

from __future__ import annotations

import os
import subprocess
import sys

from sweep.records.liveness import is_known_dead, machine_key, process_start
from sweep.records.rows import Holder


def test_this_process_lives() -> None:
    mine = Holder.here()

    assert mine.pid == os.getpid()
    assert not is_known_dead(
        machine=mine.machine, pid=mine.pid, process_started=mine.process_started
    )


def test_a_process_that_ended_is_known_dead_also_before_its_parent_looks() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_start(child.pid)
    assert started is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet taken leave of

    assert is_known_dead(machine=machine_key(), pid=child.pid, process_started=started)

    child.communicate()
    assert is_known_dead(machine=machine_key(), pid=child.pid, process_started=started)


def test_another_process_with_the_same_number_is_not_taken_for_it() -> None:
    mine = Holder.here()

    assert is_known_dead(
        machine=mine.machine, pid=mine.pid, process_started=mine.process_started - 100
    )


def test_nothing_is_known_of_processes_elsewhere() -> None:
    assert not is_known_dead(machine="elsewhere/boot/pid", pid=2**22, process_started=1.0)
    assert not is_known_dead(machine="", pid=2**22, process_started=1.0)
