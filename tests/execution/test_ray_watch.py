"""A driver whose Ray has died leaves by itself, or is ended with its sweep let go."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """\
import subprocess, sys, time
import psutil
from infra.errors import RmsweepError
from sweep.execution.interrupts import Interrupt
from sweep.execution.ray_watch import RayWatch

hears = "hears" in sys.argv
vital = subprocess.Popen(["sleep", "600"])
try:
    with (
        Interrupt() as interrupt,
        RayWatch(interrupt, let_go=lambda: print("let go", flush=True), leave_seconds=0.5) as watch,
        watch.over([psutil.Process(vital.pid)]),
    ):
        vital.kill()
        while True:
            try:
                time.sleep(600)
            except KeyboardInterrupt:
                if hears:
                    raise
except RmsweepError as error:
    print("left:", error)
"""


def driver(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_main_thread_that_ray_does_not_let_go_is_given_up_and_its_sweep_is_free() -> None:
    done = driver()

    assert (done.returncode, done.stdout) == (1, "let go\n")
    assert done.stderr.startswith("error: Ray failed under the sweep: its process sleep on this")
    assert len(done.stderr.splitlines()) == 1


def test_a_main_thread_that_leaves_in_time_tells_the_error_itself() -> None:
    done = driver("hears")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("left: Ray failed under the sweep: its process sleep on this")
