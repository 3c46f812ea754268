"""From `rmsweep submit` to the first report of a training: `python -m tests.benchmarks.submit`.

Beside a plain `ray job submit` of the same entry point, with the same sources and the packages of
the machine; each round trains something new. Contestants take turns on one head of two CPUs. What
`rmsweep submit` does more: it plans and prices, looks at the cluster, and has a supervisor start
the driver. Both are to the ledger's first `report`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from infra.clusters import ClusterEntry, environment_of
from infra.settings import load_settings
from sweep.execution.submitting import EXCLUDED, source_folders
from sweep.records.ledger import Ledger
from tests.benchmarks.measuring import report
from tests.execution.ray_head import RayHead, ray_head

ROUNDS = 5
LONGEST_SECONDS = 600.0


def sweep_file(folder: Path, name: str, seed: int) -> Path:
    """A sweep of one tiny training that nobody has trained."""
    file = folder / f"{name}.yaml"
    sweep: dict[str, Any] = {
        "name": name,
        "baseline": {
            "backbone": {"scale": "xs"},
            "data": {"pairs": 32, "weights": {"text": 1}, "seed": seed},
            "strategy": {"batch_pairs": 16},
            "evaluation": {
                "benchmarks": {"validation": {"split": "validation", "parts": {"text": 20}}}
            },
        },
        "replicates": {"seeds": 1},
    }
    file.write_text(yaml.safe_dump(sweep))
    return file


def submit(head: RayHead, home: Path, file: Path) -> None:
    """Ours."""
    del head
    _run([sys.executable, "-m", "sweep.cli.main", "submit", str(file), "--cluster", "lab"], home)


def plain(head: RayHead, home: Path, file: Path) -> None:
    """Ray's own command, with what a careful user would give it."""
    settings = load_settings({"RMSWEEP_HOME": str(home)})
    own = {"ledger": settings.ledger_url, "storage": settings.storage}
    entry = ClusterEntry(
        address=head.address, tracking=settings.tracking_uri, shared=(str(home),), **own
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sweep.yaml").write_text(file.read_text())
        runtime_env = {
            "working_dir": folder,
            "py_modules": [str(path) for path in source_folders()],
            "excludes": list(EXCLUDED),
            "env_vars": environment_of(entry),
        }
        ray = str(Path(sysconfig.get_path("scripts")) / "ray")
        _run(
            [
                *(ray, "job", "submit", "--no-wait", "--address", head.address),
                *("--runtime-env-json", json.dumps(runtime_env)),
                *("--", "python", "-m", "sweep.cli.main", "run", "sweep.yaml", "--json"),
            ],
            home,
        )


def seconds_to_first_report(home: Path, name: str, began: float) -> float:
    """Wait for the ledger's first report of a sweep; since `began`."""
    settings = load_settings({"RMSWEEP_HOME": str(home)})
    deadline = time.time() + LONGEST_SECONDS
    with Ledger.open(settings.ledger_url) as ledger:
        while time.time() < deadline:
            found = [row for row in ledger.sweeps() if row.name == name]
            if found:
                events = ledger.events(0, None, sweep_id=found[0].sweep_id)
                told = [event.time for event in events if event.kind == "report"]
                if told:
                    while ledger.sweep(found[0].sweep_id).live:
                        time.sleep(0.2)  # the next contestant has the cluster for itself
                    return min(told) - began
            time.sleep(0.2)
    raise AssertionError(f"{name} never reported")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=None, help="folder for the JSON")
    asked = parser.parse_args()
    ways = {"rmsweep submit": submit, "ray job submit": plain}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder, ray_head(cpus=2) as head:
        home = Path(folder)
        (home / "clusters.yaml").write_text(
            f"lab: {{address: '{head.address}', shared: ['{home}']}}"
        )
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=head.token)
        for number in range(-1, asked.rounds):
            order = list(ways.items())
            for place, (name, way) in enumerate(order if number % 2 else reversed(order)):
                file = sweep_file(home, f"s{number + 1}-{place}", 1000 + 2 * number + place)
                began = time.time()
                way(head, home, file)
                seconds = seconds_to_first_report(home, file.stem, began)
                if number >= 0:  # the first round fills Ray's caches
                    taken[name].append(seconds)
    rows = [
        {
            "way": name,
            "median s": statistics.median(seconds),
            "fastest s": min(seconds),
            "slowest s": max(seconds),
        }
        for name, seconds in taken.items()
    ]
    report("submit", rows, asked.out, rounds=asked.rounds)


def _run(command: list[str], home: Path) -> None:
    environment = {**os.environ, "RMSWEEP_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command[:4])}: {done.stderr[-3000:]}")


if __name__ == "__main__":
    main()
