"""What happens to clusters, to one sweep: `python -m tests.cluster.rehearsal [EVENT...]`.

A head and three machines, each in a network namespace of its own where that is allowed, an S3
server, PostgreSQL and an MLflow server are started here. A sweep of one- and two-worker gangs is
submitted, and while it runs a machine arrives, a rank dies in the middle of a gang's collective, a
machine is lost, the driver is killed, a disk is full, the S3 server and PostgreSQL are away for a
minute each, a machine is taken back with notice. MLflow is away throughout. In the end the sweep's
table is that of the same sweep left alone, and MLflow shows it. Prints what was done when; the exit
code is 0 when all of it holds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.events import EVENTS
from tests.cluster.stage import AWAY_SECONDS, NAME, SWEEP, Rehearsal, a_cluster


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
    parser.add_argument("--pairs", type=int, default=16384, help="length of every training")
    asked = parser.parse_args()
    SWEEP["baseline"]["data"]["pairs"] = asked.pairs
    events = tuple(event for event in EVENTS if not asked.events or event.__name__ in asked.events)
    with a_cluster(asked.away) as of:
        shown = rehearse(of, events)
        found = table(shown)
        of.say(of.told())
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
