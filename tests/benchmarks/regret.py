"""Regret at equal spend: `python -m tests.benchmarks.regret [--seeds N] [--only WORDS]`.

On recorded curves, all under the same simulated clock with the same workers and pool of
configurations: ours beside random search, Ray Tune's own classes and Optuna with its pruner. What
everybody is asked: after a part of what training the whole table costs, how far is the best
configuration trained to its end from the table's best? Means over seeds with 95 % intervals.

Nothing is tuned to the tables: rungs are 1/9 and 1/3, one in three goes on, for everybody.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from sweep.replay.curves import CurveTable, load_curves
from sweep.replay.outcome import Incumbent
from sweep.replay.planning import plan_replay
from sweep.replay.replaying import replay_sweep
from sweep.replay.space import TableSpace, table_space
from sweep.replay.working import SimulatedClock
from sweep.spec.sweep_spec import SweepSpec
from tests.benchmarks.rivals import OptunaPruned, RayAsha, RayOptuna, Rival, simulate

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
WORKERS = 8
PARTS = (1 / 16, 1 / 8, 1 / 4)
"""Of what training the whole table costs."""
ASHA = {"kind": "asha", "reduction": 3, "first": "1/9"}
LCBENCH_TASKS = 6

Run = Callable[[TableSpace, int], Sequence[Incumbent]]


def ours(**settings: object) -> Run:
    """A sweep of ours with these sections."""

    def run(space: TableSpace, seed: int) -> Sequence[Incumbent]:
        table = space.table
        hours = PARTS[-1] * table.total_seconds / 3600
        design = dict(settings.get("design", {}))  # type: ignore[call-overload]
        sections = {**settings, **({"design": {**design, "seed": seed}} if design else {})}
        spec = SweepSpec.model_validate(
            {
                "name": "regret",
                "replicates": {"seeds": 1},
                "objective": {"mode": table.mode},
                # Nobody else stops beginning before all is spent.
                "budget": {"gpu_hours": hours, "drain_at": 1},
                **sections,
            }
        )
        plan = plan_replay(spec, table, order=seed)
        return replay_sweep(plan, workers=WORKERS, clock=SimulatedClock()).incumbents

    return run


def theirs(made: Callable[[TableSpace, int], Rival]) -> Run:
    """Somebody else's classes."""

    def run(space: TableSpace, seed: int) -> Sequence[Incumbent]:
        most = PARTS[-1] * space.table.total_seconds
        return simulate(made(space, seed), space, workers=WORKERS, most_seconds=most)

    return run


METHODS: dict[str, Run] = {
    "random, to the end": ours(),
    "ours: rungs": ours(scheduler=ASHA),
    "ours: tpe": ours(design={"kind": "tpe", "trials": 400}),
    "ours: tpe and rungs": ours(design={"kind": "tpe", "trials": 400}, scheduler=ASHA),
    "Ray AsyncHyperBand": theirs(RayAsha),
    "Ray OptunaSearch + AHB": theirs(RayOptuna),
    "Optuna tpe + pruner": theirs(OptunaPruned),
}


def tables(folder: Path) -> dict[str, CurveTable]:
    """Every workload; LCBench is paid in epochs, AlgoPerf in the seconds that were measured."""
    found = {}
    lcbench, algoperf = SHARED / "lcbench-surrogate", SHARED / "algoperf-curves"
    for task in _tasks(lcbench / "curves.csv.gz")[:LCBENCH_TASKS]:
        found[f"LCBench {task}"] = _table(
            folder,
            f"curves: {lcbench.resolve()}/curves.csv.gz\n"
            f"where: {{task: {task}}}\n"
            "columns: {configuration: config_id, step: epoch, metric: val_accuracy}\n"
            f"configurations: {{file: {lcbench.resolve()}/configs.csv, key: config_id}}\n"
            "axes: [batch_size, learning_rate, momentum, weight_decay, num_layers, max_units,\n"
            "       max_dropout]\n",
        )
    for workload in ("fastmri", "ogbg"):
        found[f"AlgoPerf {workload}"] = _table(
            folder,
            f"curves: {algoperf.resolve()}/{workload}.csv.gz\n"
            "columns: {configuration: trial_id, step: global_step, seconds: submission_time_s,\n"
            "          metric: val_metric}\n"
            f"configurations: {{file: {algoperf.resolve()}/trials.jsonl, key: trial_id}}\n"
            "where: {ruleset: external_tuning}\n"
            "axes: [submission, hparams.learning_rate, hparams.weight_decay]\n",
        )
    return found


def measure(run: Run, space: TableSpace, seeds: int) -> list[list[float]]:
    """Regret by seed and part; the worst of the table where nothing was trained to its end."""
    total = space.table.total_seconds
    found = []
    for seed in range(seeds):
        incumbents = run(space, seed)
        row = []
        for part in PARTS:
            known = [each for each in incumbents if each.spent_seconds <= part * total]
            row.append(known[-1].regret if known else _worst(space.table))
        found.append(row)
    return found


def main() -> int:
    """Print a table per workload, write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="words a workload's or method's name must hold")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/regret.json"))
    asked = parser.parse_args()
    if not SHARED.is_dir():
        sys.stderr.write(f"the shared curves are not at {SHARED}\n")
        return 2
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for workload, table in tables(Path(folder)).items():
            space = table_space(SweepSpec(name="regret"), table)
            _, best = table.best
            sys.stdout.write(f"\n{workload}: {len(table.curves)} configurations, best {best:.5g}\n")
            for method, run in METHODS.items():
                if asked.only.lower() not in f"{workload} {method}".lower():
                    continue
                began = time.monotonic()
                regrets = measure(run, space, asked.seeds)
                row = _summary(workload, method, best, regrets, time.monotonic() - began)
                results.append(row)
                sys.stdout.write(_line(row))
                sys.stdout.flush()
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(results, indent=1))
    return 0


def _summary(
    workload: str, method: str, best: float, regrets: list[list[float]], seconds: float
) -> dict[str, Any]:
    columns = list(zip(*regrets, strict=True))
    return {
        "workload": workload,
        "method": method,
        "seeds": len(regrets),
        "seconds": seconds,
        "best": best,
        "parts": list(PARTS),
        "mean": [statistics.fmean(column) for column in columns],
        "half_width": [_half_width(column) for column in columns],
        "within_1_percent": [
            sum(regret <= 0.01 * abs(best) for regret in column) for column in columns
        ],
    }


def _line(row: dict[str, Any]) -> str:
    cells = []
    for mean, half, within in zip(
        row["mean"], row["half_width"], row["within_1_percent"], strict=True
    ):
        percent = 100 / abs(row["best"])
        cells.append(
            f"{percent * mean:6.2f} ± {percent * half:4.2f} % ({within:2d}/{row['seeds']})"
        )
    return f"  {row['method']:24s} {'   '.join(cells)}   {row['seconds']:5.0f} s\n"


def _half_width(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    quantile = float(stats.t.ppf(0.975, len(values) - 1))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def _worst(table: CurveTable) -> float:
    _, best = table.best
    return max(
        table.sign * (best - mean) for mean in table.final_means.values() if math.isfinite(mean)
    )


def _tasks(path: Path) -> list[int]:
    import pandas as pd

    return [int(task) for task in sorted(pd.read_csv(path, usecols=["task"])["task"].unique())]


def _table(folder: Path, text: str) -> CurveTable:
    path = folder / "table.yaml"
    path.write_text(text)
    return load_curves(path)


if __name__ == "__main__":
    sys.exit(main())
