"""A cluster of this machine with its services, a sweep on it, and who is at work on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from infra.clusters import ClusterEntry
from infra.errors import StoreError
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState
from tests.cluster.machines import Machines
from tests.cluster.networks import a_network
from tests.cluster.services import BUCKET, CREDENTIALS, Database, MlflowServer, S3Server

NAME = "rehearsed"
AWAY_SECONDS = 60.0
LONGEST_SECONDS = 1800.0
SWEEP: dict[str, Any] = {
    "name": NAME,
    "baseline": {
        "backbone": {"scale": "xs"},
        "data": {"pairs": 16384, "weights": {"text": 1}},
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

    def wait(self, what: str, holds: Callable[[], bool], *, sweep: str = NAME) -> None:
        """Look again until something holds of a cluster whose sweep goes on.

        Raises:
            AssertionError: Why it will not hold any more: the sweep has ended.
        """
        deadline = time.monotonic() + LONGEST_SECONDS
        while not holds():
            # Asked once more: it may have come to hold with the sweep's end.
            if self.state(sweep) in ENDED_SWEEP_STATES and not holds():
                raise AssertionError(f"waited for {what}, but {self.told(sweep)}")
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {LONGEST_SECONDS:.0f} s for {what}")
            time.sleep(2)

    def state(self, sweep: str = NAME) -> SweepState | None:
        """Of a sweep, by its name or id, in the ledger; None while that does not answer."""
        with contextlib.suppress(StoreError), Ledger.open(self.database.url) as ledger:
            return ledger.sweep(sweep).state
        return None

    def ended(self) -> bool:
        """Whether the sweep has ended, as far as the ledger answers."""
        return self.state() in ENDED_SWEEP_STATES

    def told(self, sweep: str = NAME) -> str:
        """How a sweep stands, and what its trials went through."""
        with Ledger.open(self.database.url) as ledger:
            row = ledger.sweep(sweep)
            lines = [f"{row.sweep_id} is {row.state}: {row.reason}"]
            for trial in ledger.trials(row.sweep_id):
                lines.append(f"  {trial.arm} seed {trial.seed}: {trial.state}")
                for attempt in ledger.attempts([trial.identity]):
                    first = (attempt.error_message or "").partition("\n")[0]
                    lines.append(
                        f"    {attempt.state} after {attempt.seconds:.0f} s "
                        f"{attempt.error_kind or ''} {first}".rstrip()
                    )
        return "\n".join(lines)


def ranks(of: Rehearsal, *machines: str) -> list[psutil.Process]:
    """Ranks at work on these machines, or on any."""
    return _ranks_of(of, ("TrialActor", "PartActor", "ResourceTrainable"), machines)


def gang_ranks(of: Rehearsal) -> list[psutil.Process]:
    """Ranks of gangs that lie on several machines, but for those beside rank 0."""
    return _ranks_of(of, ("PartActor",))


def _ranks_of(
    of: Rehearsal, actors: Sequence[str], machines: Sequence[str] = ()
) -> list[psutil.Process]:
    """Ranks are forked from a server each actor has; Ray's own processes have such servers too."""
    found = []
    for actor in of.machines.processes(*machines):
        with contextlib.suppress(psutil.Error):
            if any(name in " ".join(actor.cmdline()) for name in actors):
                for server in actor.children():
                    if "forkserver" in " ".join(server.cmdline()):
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
    """Everything started, three machines joined; all ended and deleted with the block.

    A SIGTERM ends the block as Ctrl-C does.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="rc", dir="/tmp"))  # sockets need short names
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        network = stack.enter_context(a_network())
        s3 = S3Server(scratch / "s3", network.host)
        mlflow = MlflowServer(scratch / "mlflow")
        stack.callback(s3.stop)
        s3.start()
        database = Database(scratch / "pg")
        stack.callback(database.stop)
        stack.callback(mlflow.stop)
        own = {**CREDENTIALS, "AWS_DEFAULT_REGION": "us-east-1"}
        machines = Machines(scratch / "ray", own, network)
        stack.callback(machines.close)
        for name in ("one", "two", "three"):
            machines.join(name)
        of = Rehearsal(scratch / "home", machines, s3, database, mlflow, away_seconds)
        where = "a network namespace each" if network.command("one") else "all on the loopback"
        of.say(f"a head and {len(machines.names)} machines, {where}")
        yield of
