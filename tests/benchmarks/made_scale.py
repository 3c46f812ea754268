"""A recorded sweep of thousands of trials, for benchmarks: true ledger, true score tables.

What differs between trials is one vector of scores, so tables are made by replacing that column.
Axes are as many as fit `LEVELS` levels each, one factor at a time, around one baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from infra.object_store import LocalStore
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState, TrialState
from sweep.records.rows import ArmRow, Holder, TrialRow
from sweep.spec.replicates_spec import ReplicatesSpec
from sweep.spec.sweep_spec import BudgetSpec, SweepSpec
from tests.analysis.made_sweeps import MadeArm, Recipe, score_rows
from trainer.config import TrainerConfig
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig
from trainer.identity import digest
from trainer.record import model_page_key
from trainer.reporting import TrialOutcome, TrialReport
from trainer.scores import score_key

LEVELS = 30

VALIDATION = 500
"""Pairs of the validation benchmark, which the objective comes from."""
NAME = "scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much to make."""

    arms: int
    seeds: int
    items: int


def make(home: Path, scale: Scale) -> str:
    """Record the sweep below a folder; returns its id. Seed noise is as large as item noise."""
    home.mkdir(parents=True, exist_ok=True)
    ledger = Ledger.open(f"sqlite:///{home}/ledger.db")
    ledger.database.engine.dispose()
    sa.event.listen(
        ledger.database.engine,
        "connect",
        lambda connection, _: connection.execute("PRAGMA synchronous = OFF"),
    )
    store = LocalStore(home / "store")
    benchmarks = {
        "validation": BenchmarkConfig(split="validation", parts={"scenes": VALIDATION}),
        "test": BenchmarkConfig(split="test", parts={"scenes": scale.items}),
    }
    spec = SweepSpec(
        name=NAME,
        question="What does a report of thousands of arms cost?",
        baseline="basereward-tiny",
        axes={},
        replicates=ReplicatesSpec(seeds=scale.seeds),
        budget=BudgetSpec(usd_per_gpu_hour=2.5),
    ).model_dump(mode="json")
    sweep_id = f"{NAME}-{digest(spec)[:8]}"
    arms = _arms(scale.arms)
    trials = [
        TrialRow(
            identity=digest([arm.name, seed]),
            arm=arm.name,
            seed=seed,
            config_json=TrainerConfig(
                seed=seed, evaluation=EvaluationConfig(benchmarks=benchmarks)
            ).model_dump(mode="json"),
        )
        for seed in range(scale.seeds)
        for arm in arms
    ]
    ledger.register_sweep(
        sweep_id, NAME, spec, arms=arms, trials=trials, tracking_uri="none", storage=store.uri
    )
    holder = Holder(driver="maker", pid=1, host="here")
    ledger.acquire_sweep(sweep_id, holder, 1e6)
    ledger.set_sweep_state(sweep_id, SweepState.RUNNING)
    ability = dict(
        zip(
            [arm.name for arm in arms],
            np.random.default_rng(0).normal(1.0, 0.1, len(arms)),
            strict=True,
        )
    )
    sizes = {"validation": VALIDATION, "test": scale.items}
    tables = {name: _base(name, config, sizes[name]) for name, config in benchmarks.items()}
    for trial in trials:
        attempt = ledger.claim(trial.identity, sweep_id, holder, 1e6)
        if attempt is None:
            raise RuntimeError(f"{trial.identity} cannot be claimed")
        rng = np.random.default_rng(int(trial.identity[:12], 16))
        strength = ability[trial.arm] + 0.05 * rng.normal()
        metrics = {}
        store.write(model_page_key(trial.identity), b"{}")
        for name, base in tables.items():
            table, accuracy = base.scored(strength, rng)
            path = store.root / score_key(trial.identity, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            # As `write_scores`, with the codec that is quick to write.
            pq.write_table(table, path, compression="lz4")
            metrics[f"eval/{name}/accuracy"] = accuracy
        for fraction in (0.5, 1.0):
            ledger.record_report(
                attempt.attempt_id,
                TrialReport(
                    step=int(640 * fraction), fraction=fraction, seconds=300 * fraction,
                    metrics={"train/loss": 0.5, **metrics},
                ),
            )  # fmt: skip
        ledger.finish_attempt(
            attempt.attempt_id,
            TrialState.SUCCEEDED,
            outcome=TrialOutcome(
                finished=True, step=640, fraction=1.0, seconds=300.0, metrics=metrics,
                model_digest=digest({"model": trial.identity}),
            ),
        )  # fmt: skip
    ledger.set_sweep_state(sweep_id, SweepState.SUCCEEDED)
    ledger.release_sweep(sweep_id, holder)
    ledger.close()
    return sweep_id


def _arms(count: int) -> list[ArmRow]:
    axes = max(1, -(-(count - 1) // LEVELS))
    home = {f"axis{axis:03d}": "0" for axis in range(axes)}
    arms = [ArmRow(name="baseline", axis=None, level=None, point=home)]
    for number in range(count - 1):
        axis, level = f"axis{number // LEVELS:03d}", str(1 + number % LEVELS)
        arms.append(
            ArmRow(name=f"{axis}={level}", axis=axis, level=level, point=home | {axis: level})
        )
    return arms


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    table: pa.Table
    difficulty: np.ndarray[tuple[int], np.dtype[np.float64]]
    best: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def scored(self, strength: float, rng: np.random.Generator) -> tuple[pa.Table, float]:
        margin = strength - self.difficulty + 0.35 * rng.normal(size=len(self.difficulty))
        score = np.repeat(rng.normal(size=len(margin)), 2)
        score += np.where(self.best, 0.5, -0.5) * np.repeat(margin, 2)
        place = self.table.schema.get_field_index("score")
        table = self.table.set_column(place, self.table.schema.field("score"), pa.array(score))
        return table, float((margin > 0).mean())


def _base(name: str, config: BenchmarkConfig, items: int) -> _Base:
    rng = np.random.default_rng([1, len(name)])
    table = score_rows(
        benchmark=name,
        definition=config,
        arm=MadeArm(name="base", point={}),
        luck=0.0,
        rng=rng,
        recipe=Recipe(items=items),
    )
    difficulty = rng.normal(size=items)
    return _Base(table=table, difficulty=difficulty, best=table["rank"].to_numpy() == 1)
