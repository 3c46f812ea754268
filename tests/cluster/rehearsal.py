"""What happens to clusters, to one sweep: `python -m tests.cluster.rehearsal [EVENT...]`.

A head and three machines, an S3 server, PostgreSQL and an MLflow server are started here. A sweep
of one- and two-worker gangs is submitted, and while it runs a machine arrives, a rank dies in the
middle of a gang's collective, a machine is lost, the driver is killed, a disk is full, the S3
server and PostgreSQL are away for a minute each, a machine is taken back with notice. MLflow is
away throughout. In the end the sweep's table is that of the same sweep left alone, and MLflow shows
it. Prints what was done when; the exit code is 0 when all of it holds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from infra.clusters import ClusterEntry
from tests.cluster.machines import Machines, may_mount
from tests.cluster.services import BUCKET, CREDENTIALS, Database, MlflowServer, S3Server

NAME = "rehearsed"
AWAY_SECONDS = 60.0
LONGEST_SECONDS = 1800.0
SWEEP: dict[str, Any] = {
    "name": NAME,
    "baseline": {
        "backbone": {"scale": "xs"},
        "data": {"pairs": 4096, "weights": {"text": 1}},
        "strategy": {"batch_pairs": 16},
        "evaluation": {
            "benchmarks": {
                "validation": {"split": "validation", "parts": {"text": 40}},
                "test": {"split": "test", "parts": {"text": 40}},
            }
        },
    },
    "axes": {
        "gang": {
            "levels": {
                "one": {"strategy.batch_pairs": 16, "machine.workers": 1},
                "two": {"strategy.batch_pairs": 32, "machine.workers": 2, "machine.zero_stage": 1},
            }
        },
        "head.layers": [1, 2],
    },
    "design": {"kind": "grid"},
    "replicates": {"seeds": 2},
    "budget": {"failures": 100},
}


@dataclass
class Rehearsal:
    """A cluster with its services, one sweep on it, and a diary."""

    home: Path
    machines: Machines
    s3: S3Server
    database: Database
    mlflow: MlflowServer
    away_seconds: float = AWAY_SECONDS
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """A line of the diary."""
        sys.stdout.write(f"{time.monotonic() - self.began:6.0f} s  {text}\n")
        sys.stdout.flush()

    def rmsweep(self, *arguments: str, check: bool = True) -> str:
        """What the command prints, asked from a machine outside the cluster."""
        done = subprocess.run(
            [sys.executable, "-m", "sweep.cli.main", *arguments],
            env={
                **os.environ,
                **CREDENTIALS,
                "RMSWEEP_HOME": str(self.home),
                "RMSWEEP_LEDGER_URL": self.database.url,
                "RMSWEEP_STORAGE": f"s3://{BUCKET}/sweeps",
                "RMSWEEP_S3_ENDPOINT": self.s3.endpoint,
                "RMSWEEP_TRACKING_URI": self.mlflow.uri,
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": self.machines.token,
                "AWS_DEFAULT_REGION": "us-east-1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"rmsweep {' '.join(arguments)}: {done.stderr[-3000:]}")
        return done.stdout

    def entry(self) -> ClusterEntry:
        """The cluster, for who asks its head; this process has the token from now on."""
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=self.machines.token)
        return ClusterEntry(address=self.machines.address)

    def shown(self) -> dict[str, Any]:
        """The sweep and its trials now."""
        return dict(json.loads(self.rmsweep("show", NAME, "--json")))

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        """Look again until something holds."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {LONGEST_SECONDS:.0f} s for {what}")
            time.sleep(0.5)

    def ended(self) -> bool:
        """Whether the sweep has ended, as far as the ledger answers."""
        out = self.rmsweep("show", NAME, "--json", check=False)
        return bool(out) and json.loads(out)["state"] not in ("pending", "running", "interrupted")


# What happens, in this order. Each waits until it can hit what it is meant for.


def a_machine_arrives(of: Rehearsal) -> None:
    of.wait("a first rank", lambda: bool(ranks(of)))
    of.machines.join("late", disk_megabytes=64 if may_mount() else None)


def a_rank_dies_in_a_gang(of: Rehearsal) -> None:
    of.wait("a gang of two at work", lambda: len(gang_ranks(of)) > 0)
    time.sleep(2)  # into its steps, each of which is a collective
    victims = gang_ranks(of)
    if victims:
        victims[-1].kill()


def a_machine_is_lost(of: Rehearsal) -> None:
    of.wait("a rank", lambda: bool(ranks(of)))
    of.machines.lose("one")
    of.machines.join("one again")


def the_driver_is_killed(of: Rehearsal) -> None:
    of.wait("a driver", lambda: bool(drivers(of)))
    for driver in drivers(of):
        driver.kill()


def a_disk_is_full(of: Rehearsal) -> None:
    if not may_mount():
        of.say("  (no small disk can be made here; left out)")
        return
    of.wait("a rank", lambda: bool(ranks(of)))
    of.machines.fill("late")
    time.sleep(20)
    of.machines.clear("late")


def s3_is_away(of: Rehearsal) -> None:
    of.wait("a rank", lambda: bool(ranks(of)))
    of.s3.stop()
    time.sleep(of.away_seconds)
    of.s3.start()


def postgresql_is_away(of: Rehearsal) -> None:
    of.wait("a rank", lambda: bool(ranks(of)))
    of.database.stop()
    time.sleep(of.away_seconds)
    of.database.start()


def a_machine_is_taken_back(of: Rehearsal) -> None:
    of.wait("a rank", lambda: bool(ranks(of)))
    of.machines.warn("two")
    of.machines.join("two again")


EVENTS = (
    a_machine_arrives,
    a_rank_dies_in_a_gang,
    a_machine_is_lost,
    the_driver_is_killed,
    a_disk_is_full,
    s3_is_away,
    postgresql_is_away,
    a_machine_is_taken_back,
)


def ranks(of: Rehearsal) -> list[psutil.Process]:
    """Ranks at work on any machine."""
    found = []
    for server in of.machines.processes():
        with contextlib.suppress(psutil.Error):
            if "forkserver" in " ".join(server.cmdline()):
                found += server.children()
    return found


def gang_ranks(of: Rehearsal) -> list[psutil.Process]:
    """Ranks of gangs that are on more than one machine, or several of one actor."""
    found = []
    for actor in of.machines.processes():
        with contextlib.suppress(psutil.Error):
            if "PartActor" in " ".join(actor.cmdline()):
                for server in actor.children():
                    found += server.children()
    return found


def drivers(of: Rehearsal) -> list[psutil.Process]:
    """Drivers of the sweep on the head."""
    found = []
    for process in of.machines.processes():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if "sweep.cli.main run" in line or "sweep.cli.main resume" in line:
                found.append(process)
    return found


@contextmanager
def a_cluster(away_seconds: float) -> Iterator[Rehearsal]:
    """Everything started, two machines joined; all ended and deleted with the block."""
    with contextlib.ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="rc", dir="/tmp"))  # sockets need short names
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        s3, mlflow = S3Server(scratch / "s3"), MlflowServer(scratch / "mlflow")
        stack.callback(s3.stop)
        s3.start()
        database = Database(scratch / "pg")
        stack.callback(database.stop)
        stack.callback(mlflow.stop)
        machines = Machines(scratch / "ray", {**CREDENTIALS, "AWS_DEFAULT_REGION": "us-east-1"})
        stack.callback(machines.close)
        machines.join("one")
        machines.join("two")
        yield Rehearsal(scratch / "home", machines, s3, database, mlflow, away_seconds)


def table(shown: dict[str, Any]) -> dict[str, Any]:
    """What a reader of the sweep is told: metrics and model of every trial."""
    return {
        f"{trial['arm']}/{trial['seed']}": {
            "state": trial["state"],
            "model": trial["model_digest"],
            **{name: value for name, value in trial["metrics"].items() if name.startswith("eval/")},
        }
        for trial in shown["trials"]
    }


def undisturbed(folder: Path) -> dict[str, Any]:
    """The table of the same sweep on this machine alone, with nothing happening to it."""
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(SWEEP))
    own = {**os.environ, "RMSWEEP_HOME": str(folder / "home"), "RMSWEEP_CPUS": "2"}
    command = [sys.executable, "-m", "sweep.cli.main"]
    subprocess.run([*command, "run", str(file), "--json"], env=own, check=True, capture_output=True)
    shown = subprocess.run(
        [*command, "show", NAME, "--json"], env=own, check=True, capture_output=True, text=True
    )
    return table(json.loads(shown.stdout))


def rehearse(of: Rehearsal, events: tuple[Callable[[Rehearsal], None], ...]) -> dict[str, Any]:
    """Submit, let everything happen, and give the sweep as it ended."""
    of.home.mkdir(exist_ok=True)
    file = of.home / "sweep.yaml"
    file.write_text(yaml.safe_dump(SWEEP))
    told = json.loads(of.rmsweep("submit", str(file), "--cluster", of.machines.address, "--json"))
    of.say(f"submitted {told['sweep']}, {told['trials']} trials")
    for event in events:
        if of.ended():
            raise AssertionError(f"the sweep was over before {event.__name__}; give it more to do")
        event(of)
        of.say(event.__name__.replace("_", " "))
    of.wait("the end of the sweep", of.ended)
    return of.shown()


def main() -> int:
    """Run it, compare, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [event.__name__ for event in EVENTS]
    parser.add_argument("events", nargs="*", choices=[*names, []], help="only these")
    parser.add_argument("--away", type=float, default=AWAY_SECONDS, help="seconds of an outage")
    asked = parser.parse_args()
    events = tuple(event for event in EVENTS if not asked.events or event.__name__ in asked.events)
    with a_cluster(asked.away) as of:
        shown = rehearse(of, events)
        found = table(shown)
        tries = {f"{t['arm']}/{t['seed']}": t["attempts"] for t in shown["trials"]}
        of.say(f"{shown['sweep']} {shown['state']} {shown['reason']}; attempts: {tries}")
        of.mlflow.start()
        of.rmsweep("resume", NAME, "--json")
        of.say("MLflow came, and the sweep was published")
    with tempfile.TemporaryDirectory() as folder:
        expected = undisturbed(Path(folder))
    problems = [
        f"{name}: expected {expected[name]}, got {found.get(name)}"
        for name in expected
        if found.get(name) != expected[name]
    ]
    for problem in problems:
        sys.stdout.write(f"differs: {problem}\n")
    sys.stdout.write("the same table\n" if not problems else f"{len(problems)} trials differ\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
