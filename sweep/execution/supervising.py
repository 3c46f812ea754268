"""What a submission runs on the cluster: a supervisor that keeps one sweep's driver alive.

`python -m sweep.execution.supervising SWEEP_ID [--resuming]`. The driver is a process of its own
and holds no truth; whenever it ends before its sweep has, another one goes on from the ledger. If
the head itself is lost, so is the supervisor: RayJob's back-off or a requeued batch job starts both
again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Literal

from infra.errors import MissingError, RmsweepError
from infra.settings import load_settings, masked
from sweep.execution.sender import Sender

SWEEP_FILE = "sweep.yaml"
SENDER_FILE = "sender.json"
RESTARTS = 20
"""Times a driver is started again before the supervisor gives up."""
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 120.0
LIVED_SECONDS = 600.0
"""A driver that lived this long was well; the count of restarts begins anew."""
HELD_SECONDS = 30.0
INPUT_IS_WRONG = 2
RESUMING = "--resuming"
ERROR = "error: "
"""How a driver begins to say why it ends."""
ERROR_LINES = 20
"""Lines of that kept for the ledger; the job's log has all."""
INTERRUPTED = 130

Say = Callable[[str], None]
Standing = Literal["new", "open", "held", "over"]
"""Of a sweep, as the ledger has it: without trials yet, to be gone on with, in another living
driver's hands, ended or asked to stop."""


class Supervisor:
    """Runs a driver, again and again until its sweep has ended."""

    def __init__(
        self,
        commands: Mapping[Standing, Sequence[str]],
        *,
        standing: Callable[[], Standing],
        say: Say,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare.

        Args:
            commands: What starts a driver of a `new` sweep, and of an `open` one.
            standing: What the ledger says of the sweep.
            say: Gets a line for the job's log.
            pause: Waits between two drivers.
        """
        self._commands = commands
        self._standing = standing
        self._say = say
        self._pause = pause
        self._driver: subprocess.Popen[bytes] | None = None
        self.last_error = ""
        """What the last driver gave as its reason to end, if it did."""
        self._told_to_stop = False

    def run(self) -> int:
        """Exit code of the last driver, once the sweep has ended or cannot go on."""
        failures = 0
        while True:
            began = time.monotonic()
            before = self._standing()
            code = self._one_driver(before)
            standing = self._standing()
            # The other driver's lease may have lapsed since this one was refused for it.
            held = standing == "held" or (before == "held" and code == INPUT_IS_WRONG)
            if self._stopped():
                return INTERRUPTED
            if code == 0 or standing == "over":
                return code
            if held:
                # If the other driver is dead, as after the loss of a head, its lease lapses.
                self._say(f"another driver holds the sweep; looking again in {HELD_SECONDS:.0f} s")
                self._pause(HELD_SECONDS)
            elif code == INPUT_IS_WRONG:
                return code
            else:
                failures = 0 if time.monotonic() - began > LIVED_SECONDS else failures + 1
                if failures > RESTARTS:
                    self._say(f"{RESTARTS} drivers ended before the sweep did; giving up")
                    return code
                self._pause_before_next(code, failures)
            if self._stopped() or (not held and self._standing() == "over"):
                return INTERRUPTED  # how another driver ended it, the next one here tells

    def stop(self, number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Pass the signal on: the driver checkpoints what runs, and no other follows."""
        del frame
        self._told_to_stop = True
        if self._driver is not None and self._driver.poll() is None:
            self._driver.send_signal(number)

    def _stopped(self) -> bool:
        return self._told_to_stop

    def _pause_before_next(self, code: int, failures: int) -> None:
        seconds = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** max(0, failures - 1))
        self._say(f"the driver {_ended_how(code)} before its sweep; again in {seconds:.0f} s")
        self._pause(seconds)

    def _one_driver(self, standing: Standing) -> int:
        # A sweep that has begun is gone on with as the ledger has it: its file may know an older
        # budget, or fewer trials.
        command = self._commands["new" if standing == "new" else "open"]
        self._driver = subprocess.Popen(command, stderr=subprocess.PIPE)
        if self._told_to_stop:  # the signal came while the driver was being started
            self._driver.send_signal(signal.SIGTERM)
        self._pass_on(self._driver)
        return self._driver.wait()

    def _pass_on(self, driver: subprocess.Popen[bytes]) -> None:
        """Copy what a driver says of errors to the job's log, and keep the last of them."""
        assert driver.stderr is not None
        told: list[str] = []
        with driver.stderr as lines:
            for line in lines:
                text = line.decode(errors="replace")
                sys.stderr.write(text)
                sys.stderr.flush()
                if text.startswith(ERROR):
                    told = [text.removeprefix(ERROR).strip()]
                elif told and len(told) < ERROR_LINES:
                    told.append(text.strip())
        self.last_error = "; ".join(told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Supervise the sweep in this folder; the exit code of its driver."""
    sweep_id, *how = sys.argv[1:] if arguments is None else arguments
    sender = Sender.model_validate_json(Path(SENDER_FILE).read_text(encoding="utf-8"))
    here = Sender.environment()
    obstacles = sender.obstacles(here)
    if obstacles:
        why = (
            f"{'; '.join(obstacles)} (its python is {sys.executable}); start Ray there with "
            "that environment first on the PATH, use another image, or `environment: pip`"
        )
        _say(f"error: {why}")
        _tell_ledger(sweep_id, why)
        return INPUT_IS_WRONG
    for difference in sender.differences(here):
        _say(f"note: {difference}")
    file = str(Path(SWEEP_FILE).absolute())
    with tempfile.TemporaryDirectory(prefix="rmsweep-job-", ignore_cleanup_errors=True) as own:
        # Ray may put a job's folder up anew, which takes it from under whoever runs in it.
        os.chdir(own)
        return supervise(sweep_id, file, resuming=how == [RESUMING])


def supervise(sweep_id: str, file: str, *, resuming: bool = False) -> int:
    """Keep a driver of this sweep alive until it has ended; the exit code of the last one.

    With `resuming` a sweep that the ledger does not know is refused, not begun.
    """
    if resuming and not _is_known(sweep_id):
        _say(
            f"error: the ledger {masked(load_settings().ledger_url)} has no sweep {sweep_id}; "
            "`rmsweep submit` its file to begin it on this cluster"
        )
        return INPUT_IS_WRONG
    verb = [sys.executable, "-m", "sweep.cli.main"]
    supervisor = Supervisor(
        {
            "new": [*verb, "run", file, "--json"],
            "open": [*verb, "resume", sweep_id, "--json"],
        },
        standing=lambda: _standing(sweep_id),
        say=_say,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    _say(f"supervising {sweep_id} in process {os.getpid()}")
    code = supervisor.run()
    if code != 0 and _standing(sweep_id) in ("new", "open"):
        said = supervisor.last_error or "its log says more"
        _tell_ledger(sweep_id, f"the driver {_ended_how(code)}: {said}")
    return code


def _tell_ledger(sweep_id: str, reason: str) -> None:
    """Have `status` show why nobody drives the sweep, on whatever machine it is asked."""
    from sweep.records.ledger import Ledger
    from sweep.records.submissions import GAVE_UP_KIND

    # One that was not registered, or a ledger that is not reached, leaves it to the job's log.
    with contextlib.suppress(RmsweepError), Ledger.open(load_settings().ledger_url) as ledger:
        ledger.sweep(sweep_id)
        ledger.record_decision(sweep_id, GAVE_UP_KIND, {"reason": reason})


def _standing(sweep_id: str) -> Standing:
    """What the ledger says; one that does not answer says nothing, so the driver goes on."""
    from sweep.records.ledger import Ledger
    from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState

    try:
        with Ledger.open(load_settings().ledger_url) as ledger:
            row = ledger.sweep(sweep_id)
    except MissingError:
        return "new"
    except RmsweepError:
        return "open"
    if row.live:
        return "held"
    if row.state in ENDED_SWEEP_STATES or row.stop_requested:
        return "over"
    # One that was registered with its trials is resumed: it may have been extended since its file.
    return "new" if row.state is SweepState.PENDING and not row.trials else "open"


def _is_known(sweep_id: str) -> bool:
    from sweep.records.ledger import Ledger

    with contextlib.suppress(RmsweepError), Ledger.open(load_settings().ledger_url) as ledger:
        return ledger.registered(sweep_id) is not None
    return True  # it does not answer, so nothing is known against it


def _ended_how(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"


def _say(line: str) -> None:
    sys.stdout.write(f"rmsweep: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
