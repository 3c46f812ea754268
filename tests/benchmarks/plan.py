"""How long a plan of 10,000 trials takes: `python -m tests.benchmarks.plan`.

Times every step a `check` takes beyond opening the ledger, with digests that are known at once, so
that what is measured is the planner and not the disk. Process time of one thread, the least of some
repeats: what was computed, however busy the machine is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.engine.planning.plan import make_plan
from sweep.spec.resolve import resolve
from sweep.spec.sweep_spec import SweepSpec
from tests.engine.known_digests import KnownDigests

GRID: dict[str, Any] = {
    "name": "large",
    "baseline": "basereward-tiny",
    "design": {"kind": "grid"},
    "replicates": {"seeds": 4},
    "axes": {
        "strategy.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True, "steps": 10},
        "head.layers": [1, 2, 3, 4, 5],
        "head.activation": {"levels": ["none", "tanh", "silu"], "when": "head.layers >= 2"},
        "data_mix": ["scenes", "digits", "text", "scenes+digits+text"],
        "scale": ["xs", "s"],
        "strategy.warmup": [0, 0.1, 0.2],
    },
}
"""3,120 arms of 3,600 points with four seeds: 12,480 trials."""
DRAWN: dict[str, Any] = {
    **GRID,
    "design": {"kind": "random", "points": 2500},
    "axes": {
        **GRID["axes"],
        "strategy.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "head.dropout": {"low": 0, "high": 0.5},
    },
    "constraints": ["head.dropout < 0.3 or head.layers >= 2"],
}
"""2,501 arms with four seeds, a rule asked at every point: 10,004 trials."""


def timed(step: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least seconds of a step, and what it returned."""
    seconds, result = [], None
    for _ in range(repeats):
        started = time.process_time()
        result = step()
        seconds.append(time.process_time() - started)
    return min(seconds), result


def measure(fields: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Seconds of resolving and of planning one sweep."""
    spec = SweepSpec.model_validate(fields)
    resolving, resolved = timed(lambda: resolve(spec), repeats)
    planning, plan = timed(lambda: make_plan(resolved, digests=KnownDigests(), devices=8), repeats)
    return {
        "design": spec.design.kind,
        "arms": len(plan.arms),
        "trials": len(plan.trials),
        "resolve_seconds": resolving,
        "plan_seconds": planning,
    }


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/plan.json"))
    arguments = parser.parse_args()
    rows = [measure(fields, arguments.repeats) for fields in (GRID, DRAWN)]
    lines = [f"{'design':10}{'arms':>8}{'trials':>8}{'resolve s':>11}{'plan s':>9}{'both s':>9}"]
    for row in rows:
        both = row["resolve_seconds"] + row["plan_seconds"]
        lines.append(
            f"{row['design']:10}{row['arms']:>8}{row['trials']:>8}"
            f"{row['resolve_seconds']:>11.2f}{row['plan_seconds']:>9.2f}{both:>9.2f}"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
