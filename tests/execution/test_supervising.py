"""The supervisor on the cluster: a driver that dies is followed by another, until the sweep ends.

Drivers here are real processes that count themselves in a file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.execution.sender import Sender
from sweep.execution.supervising import RESUMING, SENDER_FILE, Standing, Supervisor
from sweep.records.submissions import GAVE_UP_KIND
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep

DRIVER = """
import os, pathlib, signal, sys, time
count = pathlib.Path(sys.argv[1])
lived = len(count.read_text()) if count.exists() else 0
count.write_text("x" * (lived + 1))
{body}
"""


@pytest.fixture
def count(tmp_path: Path) -> Path:
    return tmp_path / "count"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(count: Path, said: list[str]) -> Callable[..., Supervisor]:
    def make(
        body: str, *, over_at: int = 10**6, standing: Callable[[int], Standing] | None = None
    ) -> Supervisor:
        """Its sweep has begun once a driver has lived, and is over after `over_at` drivers."""

        def stands() -> Standing:
            lived = len(count.read_text()) if count.exists() else 0
            if standing is not None:
                return standing(lived)
            return "new" if not lived else "over" if lived >= over_at else "open"

        command = [sys.executable, "-c", DRIVER.format(body=body), str(count)]
        return Supervisor(
            {"new": [*command, "run"], "open": [*command, "resume"]},
            standing=stands,
            say=said.append,
            pause=lambda seconds: None,
        )

    return make


def test_a_killed_driver_is_followed_by_another(
    supervisor: Callable[..., Supervisor], count: Path, said: list[str]
) -> None:
    body = "if lived < 2: os.kill(os.getpid(), signal.SIGKILL)"

    assert supervisor(body).run() == 0
    assert len(count.read_text()) == 3
    assert "was ended by signal 9" in said[0]


def test_a_sweep_that_failed_is_not_run_again(
    supervisor: Callable[..., Supervisor], count: Path
) -> None:
    assert supervisor("sys.exit(1)", over_at=1).run() == 1
    assert len(count.read_text()) == 1


def test_a_service_that_failed_is_tried_again(
    supervisor: Callable[..., Supervisor], count: Path
) -> None:
    assert supervisor("sys.exit(1 if lived < 3 else 0)").run() == 0
    assert len(count.read_text()) == 4


def test_wrong_input_is_not_tried_again(supervisor: Callable[..., Supervisor], count: Path) -> None:
    assert supervisor("sys.exit(2)").run() == 2
    assert len(count.read_text()) == 1


def test_a_sweep_that_has_begun_is_resumed_as_the_ledger_has_it(
    supervisor: Callable[..., Supervisor], count: Path, tmp_path: Path
) -> None:
    verbs = tmp_path / "verbs"
    body = (
        f"open({str(verbs)!r}, 'a').write(sys.argv[2] + ' ')\n"
        "if lived < 1: os.kill(os.getpid(), signal.SIGKILL)"
    )

    assert supervisor(body).run() == 0
    assert verbs.read_text() == "run resume "


def test_a_sweep_in_another_drivers_hands_is_waited_for_and_then_taken(
    supervisor: Callable[..., Supervisor], count: Path, said: list[str]
) -> None:
    body = "sys.exit(2 if lived < 2 else 0)"

    supervised = supervisor(body, standing=lambda lived: "held" if lived < 3 else "open")

    assert supervised.run() == 0
    assert len(count.read_text()) == 3
    assert "another driver holds the sweep" in said[0]


def test_a_driver_refused_for_a_lease_that_lapses_as_it_leaves_is_followed_by_another(
    supervisor: Callable[..., Supervisor], count: Path
) -> None:
    asked = iter(["held", "open", "open", "over"])
    body = "sys.exit(2 if lived < 1 else 0)"

    assert supervisor(body, standing=lambda lived: next(asked)).run() == 0
    assert len(count.read_text()) == 2


def test_a_sweep_that_another_driver_ended_meanwhile_is_no_interruption(
    supervisor: Callable[..., Supervisor], count: Path
) -> None:
    asked = iter(["open", "held", "over", "over"])
    body = "sys.exit(2 if lived < 1 else 0)"

    assert supervisor(body, standing=lambda lived: next(asked)).run() == 0
    assert len(count.read_text()) == 2


def test_a_stop_asked_for_between_two_drivers_is_heeded(
    supervisor: Callable[..., Supervisor], count: Path
) -> None:
    asked = iter(["open", "open", "over"])
    supervised = supervisor("sys.exit(1)", standing=lambda lived: next(asked))

    assert supervised.run() == 130
    assert len(count.read_text()) == 1


def test_drivers_that_always_die_are_given_up(
    supervisor: Callable[..., Supervisor], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.execution.supervising.RESTARTS", 2)

    assert supervisor("sys.exit(1)").run() == 1
    assert "giving up" in said[-1]


def test_a_signal_reaches_the_driver_and_no_other_follows(
    supervisor: Callable[..., Supervisor], count: Path
) -> None:
    supervised = supervisor(
        "signal.signal(signal.SIGTERM, lambda *_: (count.write_text('xT'), sys.exit(130)))\n"
        "count.write_text('r'); time.sleep(60)"
    )

    def stop() -> None:
        while not count.exists() or count.read_text() != "r":
            time.sleep(0.02)
        supervised.stop(signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    assert supervised.run() == 130
    thread.join()
    assert count.read_text() == "xT"


def supervised(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a submission runs, in its job's folder."""
    return subprocess.run(
        [sys.executable, "-m", "sweep.execution.supervising", *arguments],
        env={**os.environ, "RMSWEEP_HOME": str(folder / "home")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_to_be_resumed_is_not_begun_where_the_ledger_lacks_it(tmp_path: Path) -> None:
    (tmp_path / SENDER_FILE).write_text(Sender.here().model_dump_json())

    done = supervised(tmp_path, "elsewhere-12345678", RESUMING)

    assert done.returncode == 2
    assert "has no sweep elsewhere-12345678; `rmsweep submit` its file" in done.stdout
    assert "supervising" not in done.stdout


def test_a_submission_from_another_python_ends_and_status_tells_both_versions(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    made = make_sweep(home, Recipe(arms=[MadeArm(name="a", point={})], items=10, finish=None))
    here = Sender.here()
    sender = here.model_copy(update={"python": "3.99.1"})
    (tmp_path / SENDER_FILE).write_text(sender.model_dump_json())

    done = supervised(tmp_path, made.sweep_id)

    assert done.returncode == 2
    said = f"Python is 3.99.1 on the submitting machine and {here.python} on the cluster"
    assert said in done.stdout
    assert "Traceback" not in done.stderr
    told = [one for one in made.ledger.decisions(made.sweep_id) if one.kind == GAVE_UP_KIND]
    assert said in told[-1].payload["reason"]
