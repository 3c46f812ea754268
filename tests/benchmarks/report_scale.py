"""What a report of thousands of arms costs: `python -m tests.benchmarks.report_scale`.

Makes a recorded sweep once (`--home` keeps it), then measures each step in a process of its own:
compaction of the score tables, and the report. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

STEPS = ("compaction", "report", "report again")


def measured(step: str, home: Path) -> dict[str, float]:
    """Seconds, peak memory and size of one step, in this process."""
    from analysis.tables import read_sweep
    from infra.object_store import LocalStore
    from sweep.records.ledger import Ledger
    from tests.benchmarks.made_scale import NAME

    store = LocalStore(home / "store")
    with Ledger.open(f"sqlite:///{home}/ledger.db") as ledger:
        started, used = time.perf_counter(), time.process_time()
        size = 0
        if step == "compaction":
            tables = read_sweep(ledger, NAME, store=store)
            for benchmark in tables.benchmarks:
                tables.score_tables.compacted(tables.succeeded(), benchmark)
        else:
            from analysis.report.writing import write_report

            size = write_report(ledger, store, [NAME], home / "report.html").size_bytes
        seconds, cpu = time.perf_counter() - started, time.process_time() - used
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "html_mib": size / 2**20,
    }


def main() -> None:
    """Make what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--home", type=Path, help="keep the sweep here; made if absent")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/report_scale.json"))
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        sys.stdout.write(json.dumps(measured(asked.step, asked.home)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        _run(asked, asked.home or Path(scratch))


def _run(asked: argparse.Namespace, home: Path) -> None:
    from tests.benchmarks.made_scale import Scale, make

    if not (home / "made").exists():
        make(home, Scale(arms=asked.arms, seeds=asked.seeds, items=asked.items))
        (home / "made").touch()
    found: dict[str, dict[str, Any]] = {}
    for step in STEPS:
        command = [sys.executable, "-m", "tests.benchmarks.report_scale"]
        command += ["--home", str(home), "--step", step]
        found[step] = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
    table = Table(title=f"{asked.arms} arms x {asked.seeds} seeds x {asked.items} items")
    for heading in ("step", "seconds", "CPU seconds", "peak GiB", "HTML MiB"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for step, figures in found.items():
        table.add_row(step, *(f"{figure:.2f}" for figure in figures.values()))
    Console().print(table)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    size = {"arms": asked.arms, "seeds": asked.seeds, "items": asked.items}
    asked.out.write_text(json.dumps({**machine, **size, "steps": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
